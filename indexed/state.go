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

// state is the result of the log up to a position: the streams with their frontiers,
// batches and tails. Owners and followers compute it in the same way: they apply the
// entries in order.
//
// # Where an update is
//
// Exactly one of these places counts for an update:
//
//	its time is before the trace upper                   the trace
//	else: its position is at or before stream.flushed    an unsealed batch
//	else                                                 the tail
//
// Reads filter by exactly these borders. So background work may write an update to its next
// place before it is removed from the last one, and no read sees it twice or misses it.
//
// mu guards the state, and everything in its streams and listeners. It is held for short:
// never during I/O, a callback or a blocking send.
type state struct {
	mu      sync.Mutex
	applied storage.SeqNo // newest applied entry
	streams map[StreamID]*stream
	names   map[string]*stream // live and dying: see tombs
	dying   map[StreamID]*stream
	tombs   tombs
	nextID  StreamID

	nextBatch  uint64        // id for the next batch
	checkpoint storage.SeqNo // the durable manifest reflects the log up to this position

	tailsPack bool  // see tail
	tailBytes int64 // over all streams
	tailCount int   // streams with a tail
	// untidy says that the next round has work that no limit tells of: since the last one,
	// a stream with unsealed batches was sealed, a stream with batches was compacted, or a
	// stream was destroyed.
	untidy bool
	// onVisits, if set, is called when reads by key may have paid for a merge. It must not
	// block.
	onVisits func()
	// onDrop, if set, is told how many bytes have left the tails. It must not block.
	onDrop func(bytes int64)
	onBury func(StreamID) // told of a stream that was buried; must not block
	window eventWindow
	// holdWakes says that listeners to wake are collected in wakes. The commit goroutine
	// wakes them after it has answered writers.
	holdWakes bool
	wakes     []*Listener

	// err is why the runtime ended; nil before. Listeners return it.
	err error

	trash   trash
	held    map[*batch]struct{}  // no longer in a stream, kept for snapshots
	changed map[StreamID]*stream // streams with changes that the manifest does not have
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
	// The batches have every command at or before flushed. flushedUpper is the upper at
	// that position: a reader of blobs alone knows no other.
	flushed      storage.SeqNo
	flushedUpper frontier.Antichain
	// unflushed says that by the manifest the stream has a tail. The tail begins after
	// listed, which is the flushed position in the manifest. The log must still have it.
	unflushed bool
	listed    storage.SeqNo

	reads     readCount
	tail      tail
	tailIndex *tailIndex // of this tail; nil until there is a snapshot, and again when rows are dropped
	tailBytes int64
	tailStart time.Time // when the tail stopped being empty

	listeners map[*Listener]struct{}
	// turn is held by the one listener of the stream that waits for state.mu. Go hands a
	// mutex on in order once a goroutine has waited long: without turn, the commit
	// goroutine would wait behind all listeners.
	turn    sync.Mutex
	waiting []*Listener // to be woken by the next event
	copies  kept.Copies // of small columns, for events
	events  []*event    // the stream's part of the window
	// Every event of the stream after windowAfter is in events.
	windowAfter storage.SeqNo

	manifest streamDelta // changes that the manifest does not have

	// flushFailure is 0, or if the last flush has failed its number among all that have
	// failed. maintenance.round guards it.
	flushFailure uint64
	// moving is held by work that depends on the trace upper: see pending.
	moving bool
	idle   idleMerge // the newest state in which there was nothing to merge

	damage error // why background work cannot read a batch; nil if it can
	// reading says when background work tries to read the batches again. Its again is zero
	// if there was no failure, or if the failure lasts until the next opening.
	reading retry
}

func (s *stream) description() frontier.Description {
	return frontier.Description{Upper: s.upper, Since: s.since}
}

// applyLocked applies one entry of the log. The caller has decided the entry, or read it
// from the log. A contradiction is damage: it is returned as an error, and after it the
// state must not be used.
func (st *state) applyLocked(seqno storage.SeqNo, ops []op, now time.Time) error {
	if seqno <= st.applied {
		return fmt.Errorf("position %s follows %s", seqno, st.applied)
	}
	for i := range ops {
		//museum:half-a-command
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
		//museum:seal-goes-back/2
		if o.frontier.LessThan(s.upper) {
			return fmt.Errorf("seal of stream %s to %s before its upper %s", quoteName(s.name), o.frontier, s.upper)
		}
		//museum:since-moves-by-itself
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

// packTails makes tails pack chunks from now on.
func (st *state) packTails() {
	st.tailsPack = true
	for _, s := range st.names {
		s.tail.packs = true
	}
}

// dropTailLocked drops the tail up to through, which batches have now. Snapshots that share
// the chunks keep them.
func (st *state) dropTailLocked(s *stream, through storage.SeqNo) {
	if s.tail.empty() {
		return
	}
	dropped := s.tail.drop(through)
	//museum:tail-rows-twice
	if dropped > 0 {
		s.tailIndex = nil
	}
	if s.tail.empty() {
		st.tailCount--
	}
	s.tailBytes -= dropped
	st.tailBytes -= dropped
	if st.onDrop != nil {
		st.onDrop(dropped)
	}
}

// replaceSetLocked makes set the batches of the stream, and records the difference for the
// manifest. A batch that is no longer in the set is kept until the durable manifest does
// not name it and no snapshot holds it.
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

// swapSetLocked makes set the batches of the stream, and returns the batches that came and
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
	//museum:holds-end-together
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

// unlistLocked notes that the durable manifest does not name the batch any more.
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

// nameOf returns the name of a stream, also if the stream was destroyed; an unknown id
// gives the id.
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

// checkCodecs compares the codecs of a stream with those of a client.
func (s *stream) checkCodecs(keyCodec, valCodec string) error {
	if s.keyCodec != keyCodec {
		return streamErrorf(s.name, ErrCodecMismatch, "key codec %q, but it was registered with %q: use that codec or another stream", keyCodec, s.keyCodec)
	}
	if s.valCodec != valCodec {
		return streamErrorf(s.name, ErrCodecMismatch, "value codec %q, but it was registered with %q: use that codec or another stream", valCodec, s.valCodec)
	}
	return nil
}
