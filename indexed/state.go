package indexed

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/internal/kept"
	"github.com/tidemark-go/tidemark/storage"
)

// state is what a prefix of the log amounts to: the streams with their frontiers,
// batches and tails. Writers and read-only runtimes compute it in the same way,
// by applying entries in order.
//
// mu guards everything in it and in its streams and listeners. It is held for
// short, never during I/O, a callback or a blocking send.
type state struct {
	mu      sync.Mutex
	applied storage.SeqNo // newest applied entry
	streams map[StreamID]*stream
	names   map[string]*stream // live and dying: see tombs
	dying   map[StreamID]*stream
	tombs   tombs
	nextID  StreamID

	nextBatch  uint64        // id for the next batch
	checkpoint storage.SeqNo // the durable manifest reflects the log up to here

	tailsPack bool  // see tail
	tailBytes int64 // over all streams
	tailCount int   // streams with a tail
	// untidy says that something has happened since the last round of maintenance that
	// it will tidy up and that no limit tells of: a seal of a stream with unsealed
	// batches, an allowed compaction of one with batches, a destroy.
	untidy bool
	// onDrop, if set, hears how many bytes have left the tails. It must not block.
	onDrop func(bytes int64)
	onBury func(StreamID) // likewise, of a stream that was buried
	window eventWindow
	// holdWakes: listeners that are to be woken are kept in wakes, for who has more urgent
	// things to do.
	holdWakes bool
	wakes     []*Listener

	// err is why the runtime ended, once it has; listeners and waiting readers see it.
	err error
	// broken: a durable command could not be applied. The manifest is not to say what is
	// here, and the log is not to be truncated by it.
	broken bool

	trash   trash
	held    map[*batch]struct{}  // out of their streams, kept for snapshots
	changed map[StreamID]*stream // those that the manifest does not describe yet
}

func newState(windowBytes int64) *state {
	return &state{
		streams: make(map[StreamID]*stream),
		names:   make(map[string]*stream),
		dying:   make(map[StreamID]*stream),
		window:  eventWindow{limit: windowBytes},
		held:    make(map[*batch]struct{}),
		changed: make(map[StreamID]*stream),
	}
}

// stream is the applied state of one stream.
type stream struct {
	id                       StreamID
	name, keyCodec, valCodec string

	upper, since frontier.Antichain
	destroyed    bool

	set *batchSet
	// flushed: every command up to here is in the batches. flushedUpper is the upper
	// at that moment, which is what a reader of blobs alone can vouch for.
	flushed      storage.SeqNo
	flushedUpper frontier.Antichain
	// unflushed: the manifest says that there is a tail after listed, which is flushed as
	// it was then, so the log must have it.
	unflushed bool
	listed    storage.SeqNo

	tail      tail
	tailBytes int64
	tailStart time.Time // when the tail stopped being empty

	listeners map[*Listener]struct{}
	// turn is held by the one listener that waits for state.mu: writers wait for that too,
	// and would do so behind all listeners.
	turn    sync.Mutex
	waiting []*Listener // to be woken by the next event
	copies  kept.Copies // of small columns, for events
	events  []*event    // the stream's part of the window
	// windowAfter: every event of the stream in advance of it is in events.
	windowAfter storage.SeqNo

	manifest streamDelta // what the manifest does not say yet

	// moving is held by what rests on the trace upper: see pending.
	moving bool
	idle   idleMerge // the newest state in which there was nothing to merge

	damage error // what background work met in the batches, once it has
	// again is when background work looks at the batches again; zero: never.
	again    time.Time
	failures int // in a row
}

func (s *stream) description() frontier.Description {
	return frontier.Description{Upper: s.upper, Since: s.since}
}

// apply applies one log entry. The caller has validated it, or read it from the
// log; what cannot have been validated is an error, and then the state is
// undefined.
func (st *state) applyLocked(seqno storage.SeqNo, ops []op, now time.Time) error {
	if seqno <= st.applied {
		return fmt.Errorf("position %s follows %s", seqno, st.applied)
	}
	for i := range ops {
		if err := st.applyOpLocked(seqno, &ops[i], now); err != nil {
			return err
		}
	}
	st.applied = seqno
	st.window.trimLocked()
	return nil
}

func (st *state) applyOpLocked(seqno storage.SeqNo, o *op, now time.Time) error {
	if o.kind == opRegister {
		if _, buried := st.tombs.ids[o.name]; o.stream != st.nextID || st.names[o.name] != nil || buried {
			return fmt.Errorf("registration of %s as %s, next id is %s", quoteName(o.name), o.stream, st.nextID)
		}
		st.addStreamLocked(&stream{id: o.stream, name: o.name, keyCodec: o.keyCodec, valCodec: o.valCodec, flushed: st.applied})
		return nil
	}
	s := st.streams[o.stream]
	if s == nil {
		return fmt.Errorf("operation %d on %s, which does not exist", o.kind, o.stream)
	}
	st.changed[s.id] = s
	switch o.kind {
	case opWrite:
		if o.cols.Len() == 0 {
			return nil
		}
		if t, _ := o.cols.TimeRange(); !s.upper.Admits(t) {
			return fmt.Errorf("update of stream %s at time %d before its upper %s", quoteName(s.name), t, s.upper)
		}
		st.appendTailLocked(s, tailChunk{seqno, seqno, o.cols}, now)
		st.window.addLocked(s, seqno, o.cols)
		st.wakeLocked(s)
	case opSeal:
		if o.frontier.LessThan(s.upper) {
			return fmt.Errorf("seal of stream %s to %s before its upper %s", quoteName(s.name), o.frontier, s.upper)
		}
		s.upper = o.frontier
		st.untidy = st.untidy || len(s.set.unsealed) > 0
		if e := st.window.addLocked(s, seqno, Columns{}); e != nil {
			e.seal, e.sealed = true, o.frontier
			st.wakeLocked(s)
		}
	case opAllowCompaction:
		if o.frontier.LessThan(s.since) {
			return fmt.Errorf("compaction of stream %s to %s before its since %s", quoteName(s.name), o.frontier, s.since)
		}
		s.since = o.frontier
		st.untidy = st.untidy || len(s.set.trace)+len(s.set.unsealed) > 0
	case opDestroy:
		st.destroyLocked(s)
	}
	return nil
}

func (st *state) addStreamLocked(s *stream) {
	if s.set == nil {
		s.set = &batchSet{refs: 1}
	}
	s.listeners = make(map[*Listener]struct{})
	s.manifest.created = true
	s.tail.packs = st.tailsPack
	st.changed[s.id] = s
	st.names[s.name] = s
	st.streams[s.id] = s
	st.nextID = max(st.nextID, s.id+1)
}

func (st *state) destroyLocked(s *stream) {
	s.destroyed, st.untidy = true, true
	st.dropTailLocked(s, math.MaxUint64)
	st.replaceSetLocked(s, &batchSet{})
	delete(st.streams, s.id)
	st.dying[s.id] = s
	st.wakeLocked(s)
}

func (st *state) appendTailLocked(s *stream, c tailChunk, now time.Time) {
	if s.tail.empty() {
		s.tailStart = now
		st.tailCount++
	}
	s.tail.append(c)
	s.tailBytes += int64(c.cols.Size())
	st.tailBytes += int64(c.cols.Size())
}

// packTails makes tails pack what is appended from now on.
func (st *state) packTails() {
	st.tailsPack = true
	for _, s := range st.names {
		s.tail.packs = true
	}
}

// dropTailLocked forgets the tail up to through, which is in batches now.
// Snapshots that share the chunks keep them.
func (st *state) dropTailLocked(s *stream, through storage.SeqNo) {
	if s.tail.empty() {
		return
	}
	dropped := s.tail.drop(through)
	if s.tail.empty() {
		st.tailCount--
	}
	s.tailBytes -= dropped
	st.tailBytes -= dropped
	if st.onDrop != nil {
		st.onDrop(dropped)
	}
}

// replaceSetLocked makes set the stream's batches and records the difference for
// the manifest. Batches that drop out are kept until the manifest says so and no
// snapshot holds them.
func (st *state) replaceSetLocked(s *stream, set *batchSet) {
	added, dropped := st.swapSetLocked(s, set)
	s.manifest.added = append(s.manifest.added, added...)
	for _, b := range dropped {
		s.manifest.drop(b)
		if b.unlisted && b.sets == 0 {
			st.trash.addBatch(b)
		}
	}
	st.changed[s.id] = s
}

// swapSetLocked makes set the stream's batches and returns those that came and
// those that went.
func (st *state) swapSetLocked(s *stream, set *batchSet) (added, dropped []*batch) {
	old := s.set
	set.refs = 1
	s.set = set
	kept := make(map[*batch]bool, len(set.trace)+len(set.unsealed))
	for _, b := range set.all() {
		kept[b] = true
		if b.sets++; b.sets == 1 {
			added = append(added, b)
		}
	}
	for _, b := range old.all() {
		if !kept[b] {
			dropped = append(dropped, b)
			st.held[b] = struct{}{}
		}
	}
	st.releaseSetLocked(old)
	return added, dropped
}

// releaseSetLocked gives up one reference to a set.
func (st *state) releaseSetLocked(set *batchSet) {
	if set.refs--; set.refs > 0 {
		return
	}
	for _, b := range set.all() {
		if b.sets--; b.sets > 0 {
			continue
		}
		delete(st.held, b)
		if b.unlisted {
			st.trash.addBatch(b)
		}
	}
}

// unlistLocked notes that the durable manifest no longer names the batch.
func (st *state) unlistLocked(b *batch) {
	b.unlisted = true
	if b.sets == 0 {
		st.trash.addBatch(b)
	}
}

// liveLocked returns a live stream by name.
func (st *state) liveLocked(name string) (*stream, error) {
	s := st.names[name]
	if _, buried := st.tombs.ids[name]; buried {
		return nil, destroyedError(name)
	}
	if s == nil {
		return nil, streamErrorf(name, ErrUnknownStream, "it was never registered here: create it first")
	}
	if s.destroyed {
		return nil, destroyedError(name)
	}
	return s, nil
}

func destroyedError(name string) error {
	return streamErrorf(name, ErrDestroyed, "its data is gone and its name cannot be used again: choose another name")
}

// byIDLocked returns a live stream by id.
func (st *state) byIDLocked(id StreamID) (*stream, error) {
	if s := st.streams[id]; s != nil {
		return s, nil
	}
	if s := st.dying[id]; s != nil {
		return nil, destroyedError(s.name)
	}
	if name, buried := st.tombs.names[id]; buried {
		return nil, destroyedError(name)
	}
	return nil, streamErrorf(id.String(), ErrUnknownStream, "no stream has this id here")
}

// nameOf returns the name of a stream, also of one that was destroyed, or its id.
func (st *state) nameOf(id StreamID) string {
	st.mu.Lock()
	defer st.mu.Unlock()
	if s := cmp.Or(st.streams[id], st.dying[id]); s != nil {
		return s.name
	}
	if name, buried := st.tombs.names[id]; buried {
		return name
	}
	return id.String()
}

// sortedStreamsLocked yields the live streams in order of their ids.
func (st *state) sortedStreamsLocked() iter.Seq[*stream] {
	ids := slices.SortedFunc(maps.Keys(st.streams), cmp.Compare)
	return func(yield func(*stream) bool) {
		for _, id := range ids {
			if !yield(st.streams[id]) {
				return
			}
		}
	}
}

// StreamInfo describes a live stream: see persist.StreamInfo.
type StreamInfo struct {
	ID                 StreamID
	Name               string
	KeyCodec, ValCodec string
	frontier.Description
	TailBytes  int64
	Batches    int
	Rows       int64
	BatchBytes int64
}

func (s *stream) infoLocked() StreamInfo {
	info := StreamInfo{
		ID: s.id, Name: s.name, KeyCodec: s.keyCodec, ValCodec: s.valCodec,
		Description: s.description(), TailBytes: s.tailBytes,
		Batches: len(s.set.trace) + len(s.set.unsealed),
	}
	for _, b := range s.set.all() {
		info.Rows += b.rows
		info.BatchBytes += b.size()
	}
	return info
}

// checkCodecs compares the codecs of a stream with those a client brought.
func (s *stream) checkCodecs(keyCodec, valCodec string) error {
	if s.keyCodec != keyCodec {
		return streamErrorf(s.name, ErrCodecMismatch, "key codec %q, but it was registered with %q: use that codec or another stream", keyCodec, s.keyCodec)
	}
	if s.valCodec != valCodec {
		return streamErrorf(s.name, ErrCodecMismatch, "value codec %q, but it was registered with %q: use that codec or another stream", valCodec, s.valCodec)
	}
	return nil
}

func (st *state) describeLocked(name string) (frontier.Description, error) {
	s, err := st.liveLocked(name)
	if err != nil {
		return frontier.Description{}, err
	}
	return s.description(), nil
}

func (st *state) infosLocked() []StreamInfo {
	infos := make([]StreamInfo, 0, len(st.streams))
	for s := range st.sortedStreamsLocked() {
		infos = append(infos, s.infoLocked())
	}
	return infos
}
