package indexed

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/storage"
)

// batch describes an immutable run of updates, sorted by (key, val, time) and
// consolidated, in one or more blobs (parts). Its fields do not change after it
// was built, but for those that are marked.
type batch struct {
	id uint64 // unique within the location, never used again
	// newest is the id of the newest batch that a flush of this opening wrote and that
	// was merged into this one; 0 if there is none.
	newest uint64
	trace  bool // a trace batch; otherwise an unsealed batch

	// desc is the interval of times and the since of a trace batch. An unsealed batch
	// has Lower {0}, Upper {} and only its since: it holds whatever was written.
	desc frontier.Description
	// An unsealed batch holds updates of the commands in (after, through].
	after, through storage.SeqNo

	level            int // grows when the result of a merge outgrew its inputs
	rows             int
	minTime, maxTime uint64 // of the rows, when there are any
	// foldable counts the rows whose (key, val) is that of the row before: those
	// that advancing their times may consolidate away.
	foldable int
	parts    []part

	// Guarded by state.mu.
	sets     int  // batch sets that hold it
	unlisted bool // no durable manifest names it any more, or none ever did
}

// part is one blob of a batch: an ordinary Parquet file.
type part struct {
	key   string
	size  int64  // bytes of the blob
	sum   uint64 // xxhash64 of the blob
	rows  int
	bytes int // encoded size of its updates in memory
}

// size returns the bytes of all the batch's blobs.
func (b *batch) size() (n int64) {
	for i := range b.parts {
		n += b.parts[i].size
	}
	return n
}

// memBytes returns the encoded size of the batch's updates.
func (b *batch) memBytes() (n int64) {
	for i := range b.parts {
		n += int64(b.parts[i].bytes)
	}
	return n
}

func (b *batch) kind() string {
	if b.trace {
		return kindTrace
	}
	return kindUnsealed
}

// hasTimesIn reports whether some row may have a time the filter admits.
func (b *batch) hasTimesIn(f timeFilter) bool {
	return b.rows > 0 && f.lower.Admits(b.maxTime) && !f.upper.Admits(b.minTime)
}

func (b *batch) String() string {
	if b.trace {
		return fmt.Sprintf("trace batch %d %s", b.id, b.desc)
	}
	return fmt.Sprintf("unsealed batch %d (%s, %s]", b.id, b.after, b.through)
}

func (b *batch) appendTo(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, b.id)
	if b.trace {
		dst = append(dst, 1)
	} else {
		dst = append(dst, 0)
	}
	dst = appendFrontier(dst, b.desc.Lower)
	dst = appendFrontier(dst, b.desc.Upper)
	dst = appendFrontier(dst, b.desc.Since)
	for _, v := range []uint64{
		uint64(b.after), uint64(b.through), uint64(b.level), uint64(b.rows),
		b.minTime, b.maxTime, uint64(b.foldable), uint64(len(b.parts)),
	} {
		dst = binary.AppendUvarint(dst, v)
	}
	for i := range b.parts {
		p := &b.parts[i]
		dst = appendString(dst, p.key)
		dst = binary.AppendUvarint(dst, uint64(p.size))
		dst = binary.LittleEndian.AppendUint64(dst, p.sum)
		dst = binary.AppendUvarint(dst, uint64(p.rows))
		dst = binary.AppendUvarint(dst, uint64(p.bytes))
	}
	return dst
}

// The least that appendTo writes for a batch without parts, and for a part.
const (
	minBatchBytes = 1 + 1 + 3 + 8
	minPartBytes  = 1 + 1 + 8 + 1 + 1
)

func decodeBatch(r *wireReader) *batch {
	b := &batch{id: r.uvarint()}
	switch kind := r.byte(); kind {
	case 0, 1:
		b.trace = kind == 1
	default:
		r.fail(fmt.Errorf("batch of kind %d", kind))
	}
	b.desc.Lower, b.desc.Upper, b.desc.Since = r.frontier(), r.frontier(), r.frontier()
	b.after, b.through = storage.SeqNo(r.uvarint()), storage.SeqNo(r.uvarint())
	b.level = int(min(r.uvarint(), math.MaxInt32))
	b.rows = int(min(r.uvarint(), math.MaxInt))
	b.minTime, b.maxTime = r.uvarint(), r.uvarint()
	b.foldable = int(min(r.uvarint(), math.MaxInt))
	n := r.count(minPartBytes)
	for range n {
		p := part{key: r.string(), size: int64(min(r.uvarint(), math.MaxInt64))}
		if sum := r.bytes(8); r.err == nil {
			p.sum = binary.LittleEndian.Uint64(sum)
		}
		p.rows = int(min(r.uvarint(), math.MaxInt))
		p.bytes = int(min(r.uvarint(), math.MaxInt))
		if r.err != nil {
			return nil
		}
		b.parts = append(b.parts, p)
	}
	if r.err == nil {
		if err := b.validate(); err != nil {
			r.fail(err)
		}
	}
	return b
}

// validate checks what can be known of a batch without reading it.
func (b *batch) validate() error {
	rows := 0
	for i := range b.parts {
		p := &b.parts[i]
		switch {
		case p.key == "" || p.rows <= 0 || p.size <= 0:
			return fmt.Errorf("%s: part %d is empty or has no key", b, i)
		case p.rows > p.bytes/rowOverhead:
			return fmt.Errorf("%s: part %d has %d rows in %d bytes", b, i, p.rows, p.bytes)
		case p.rows > b.rows-rows:
			return fmt.Errorf("%s: more rows in its parts than %d in all", b, b.rows)
		}
		rows += p.rows
	}
	switch {
	case rows != b.rows:
		return fmt.Errorf("%s: %d rows in its parts, %d in all", b, rows, b.rows)
	case b.rows > 0 && b.minTime > b.maxTime:
		return fmt.Errorf("%s: times from %d to %d", b, b.minTime, b.maxTime)
	case b.trace && b.desc.IsEmpty():
		return fmt.Errorf("%s: empty interval", b)
	case b.trace && b.rows > 0 && !b.desc.Lower.Admits(b.minTime):
		return fmt.Errorf("%s: time %d before its lower", b, b.minTime)
	case b.trace && b.rows > 0 && b.desc.Upper.Admits(b.maxTime) && b.desc.Since.LessThan(b.desc.Upper):
		return fmt.Errorf("%s: time %d not before its upper", b, b.maxTime)
	case !b.trace && b.after >= b.through:
		return fmt.Errorf("%s: empty interval", b)
	}
	return nil
}

// batchSet is one version of a stream's batches. It never changes; maintenance
// replaces it. Snapshots share it, which is what makes them cheap, and hold its
// blobs by holding it.
type batchSet struct {
	trace    []*batch // by time, contiguous
	unsealed []*batch // by position
	refs     int      // the stream's own and its snapshots'; guarded by state.mu
}

// traceUpper is the physical border: everything before it is in the trace, and
// nothing before it counts in the unsealed batches and the tail.
func (s *batchSet) traceUpper() frontier.Antichain {
	if n := len(s.trace); n > 0 {
		return s.trace[n-1].desc.Upper
	}
	return frontier.Antichain{}
}

func (s *batchSet) all() []*batch { return slices.Concat(s.trace, s.unsealed) }

// replaceRun returns list with the run of old replaced by with, or false if old
// is not there as one run any more.
func replaceRun(list, old []*batch, with ...*batch) ([]*batch, bool) {
	if len(old) == 0 {
		return append(slices.Clone(list), with...), true
	}
	i := slices.Index(list, old[0])
	if i < 0 || i+len(old) > len(list) || !slices.Equal(list[i:i+len(old)], old) {
		return nil, false
	}
	return slices.Concat(list[:i], with, list[i+len(old):]), true
}

// partReader fetches and decodes one part.
type partReader interface {
	readPart(ctx context.Context, p *part) (Columns, error)
}

// maxHeldParts is how many parts a read of several batches holds at most, of all of them
// together. A stream whose merges keep up has fewer batches.
const maxHeldParts = 32

// batchRows yields the rows of a batch, holding one part at a time, or a piece of one if
// there are many batches: see share.
type batchRows struct {
	parts  []part
	reader partReader
	filter timeFilter
	pieces int // in which a part is held, one at a time; 0 is 1
	read   int // rows of parts[0] that were in earlier pieces
	cur    sortedColumns
	moves  *int // counts parts that were left; nil if nobody wants to know

	// ahead: from the second part on, the next one is read while the caller looks at one,
	// by a goroutine of its own. It ends when it has read that, or the context is done;
	// wait waits for it.
	ahead  bool
	begun  bool          // the first part was read
	coming chan partRead // parts[0], unless it is nil
}

func newBatchRows(b *batch, reader partReader, filter timeFilter) *batchRows {
	return &batchRows{parts: b.parts, reader: reader, filter: filter}
}

// share makes batches that are read together hold maxHeldParts parts at most. If merges
// cannot keep up there are more batches than that. Then parts are read once for each
// piece: reading takes longer, and not more memory. A piece is a share of a part's bytes,
// and one row at least.
func share(sources []rowSource) {
	pieces := (len(sources) + maxHeldParts - 1) / maxHeldParts
	for _, s := range sources {
		if b, ok := s.(*batchRows); ok {
			b.pieces = pieces
		}
	}
}

func (s *batchRows) next(ctx context.Context) (row, bool, error) {
	for {
		if r, ok, err := s.cur.next(ctx); ok || err != nil {
			return r, ok, err
		}
		if len(s.parts) == 0 {
			return row{}, false, nil
		}
		s.cur = sortedColumns{} // not held while the next one is read
		if s.moves != nil {
			*s.moves++
		}
		cols, err := s.readNext(ctx)
		if err != nil {
			return row{}, false, err
		}
		if cols, err = s.piece(cols); err != nil {
			return row{}, false, err
		}
		s.cur = sortedColumns{cols: cols, filter: s.filter}
	}
}

// readNext reads parts[0], and begins to read the one after it.
func (s *batchRows) readNext(ctx context.Context) (cols Columns, err error) {
	if s.coming != nil {
		read := <-s.coming
		s.coming = nil
		cols, err = read.cols, read.err
	} else {
		cols, err = s.reader.readPart(ctx, &s.parts[0])
	}
	if s.ahead && s.begun && s.pieces <= 1 && err == nil && len(s.parts) > 1 {
		p, coming := &s.parts[1], make(chan partRead, 1)
		s.coming = coming
		go func() {
			read := partRead{err: errGoexit}
			defer func() { coming <- read }()
			read.cols, read.err = s.reader.readPart(ctx, p)
		}()
	}
	s.begun = true
	return cols, err
}

// wait returns when no goroutine reads ahead any more.
func (s *batchRows) wait() {
	if s.coming != nil {
		<-s.coming
		s.coming = nil
	}
}

// piece returns what is to be held of the part that was read, and moves on.
func (s *batchRows) piece(part Columns) (Columns, error) {
	if s.pieces <= 1 {
		s.parts = s.parts[1:]
		return part, nil
	}
	most := (part.Size() + s.pieces - 1) / s.pieces
	var b ColumnsBuilder // copied, so that the rest of the part is not held
	for ; s.read < part.Len(); s.read++ {
		key, val := part.Key(s.read), part.Val(s.read)
		if b.Len() > 0 && b.Size()+rowOverhead+len(key)+len(val) > most {
			break
		}
		if err := b.Add(key, val, part.Time(s.read), part.Diff(s.read)); err != nil {
			return Columns{}, err
		}
	}
	if s.read == part.Len() {
		s.parts, s.read = s.parts[1:], 0
	}
	return b.Columns(), nil
}
