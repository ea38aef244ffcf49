package indexed

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"sync/atomic"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed/internal/part"
	"github.com/tidemark-go/tidemark/indexed/internal/wire"
	"github.com/tidemark-go/tidemark/storage"
)

// batch describes an immutable run of updates, sorted by (key, val, time) and consolidated.
// Its blobs are its parts, one or more. The fields do not change once it is built, except
// times and the fields under state.mu.
type batch struct {
	id uint64 // unique within the location, never used again
	// newest is the newest batch id, of a batch that a flush of this opening has written,
	// of which this batch has the rows; 0 if there is none.
	newest uint64
	trace  bool // a trace batch; otherwise an unsealed batch

	// desc of a trace batch is its interval of times and its since. An unsealed batch may
	// hold any time: it has Lower {0}, Upper {}, and the since that its times were advanced
	// to.
	desc frontier.Description
	// An unsealed batch holds updates of the commands in (after, through].
	after, through storage.SeqNo

	level            int // grows when the result of a merge outgrew its inputs
	rows             int64
	minTime, maxTime uint64 // of the rows, when there are any
	// foldable counts the rows with the (key, val) of the row before. Advancing times may
	// make such a row equal to that row.
	foldable int64
	parts    []part.Part
	// last is the first bytes of the last key, as many as a separator has at most. A batch of
	// an older version has none: it is nil.
	last []byte
	// times is how the times of the rows are distributed; nil until that is known. A batch
	// that this opening has written has it from the start.
	times atomic.Pointer[part.Spread]

	// Guarded by state.mu.
	sets     int  // batch sets that hold the batch
	unlisted bool // the durable manifest does not name it
}

// size returns the bytes of all the batch's blobs.
func (b *batch) size() (n int64) {
	for i := range b.parts {
		n += b.parts[i].Size
	}
	return n
}

// memBytes returns the encoded size of the batch's updates.
func (b *batch) memBytes() (n int64) {
	for i := range b.parts {
		n += int64(b.parts[i].Bytes)
	}
	return n
}

func (b *batch) kind() string {
	if b.trace {
		return kindTrace
	}
	return kindUnsealed
}

// hasTimesIn reports whether some row may have a time that the filter admits.
func (b *batch) hasTimesIn(f part.TimeFilter) bool {
	return b.rows > 0 && f.Lower.Admits(b.maxTime) && !f.Upper.Admits(b.minTime)
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
	dst = wire.AppendFrontier(dst, b.desc.Lower)
	dst = wire.AppendFrontier(dst, b.desc.Upper)
	dst = wire.AppendFrontier(dst, b.desc.Since)
	for _, v := range []uint64{
		uint64(b.after), uint64(b.through), uint64(b.level), uint64(b.rows),
		b.minTime, b.maxTime, uint64(b.foldable), uint64(len(b.parts)),
	} {
		dst = binary.AppendUvarint(dst, v)
	}
	for i := range b.parts {
		p := &b.parts[i]
		dst = wire.AppendString(dst, p.Key)
		dst = binary.AppendUvarint(dst, uint64(p.Size))
		dst = binary.LittleEndian.AppendUint64(dst, p.Sum)
		dst = binary.AppendUvarint(dst, uint64(p.Rows))
		dst = binary.AppendUvarint(dst, uint64(p.Bytes))
		dst = appendPlaces(dst, p)
	}
	if b.last == nil {
		return append(dst, 0)
	}
	dst = binary.AppendUvarint(dst, uint64(1+len(b.last)))
	return append(dst, b.last...)
}

// The flags of a part.
const (
	flagClean     = 1 // see part.Part
	flagDirectory = 2 // the place of the directory follows
)

// appendPlaces writes where the part is among keys, and where its directory is.
func appendPlaces(dst []byte, p *part.Part) []byte {
	var flags byte
	if p.Clean {
		flags |= flagClean
	}
	if p.Directory.Len > 0 {
		flags |= flagDirectory
	}
	dst = append(dst, flags)
	dst = binary.AppendUvarint(dst, uint64(len(p.First)))
	dst = append(dst, p.First...)
	if p.Directory.Len > 0 {
		dst = binary.AppendUvarint(dst, uint64(p.Directory.At))
		dst = binary.AppendUvarint(dst, uint64(p.Directory.Len))
		dst = binary.LittleEndian.AppendUint64(dst, p.Directory.Sum)
	}
	return dst
}

func decodePlaces(r *wire.Reader, p *part.Part) {
	flags := r.Byte()
	if flags&^(flagClean|flagDirectory) != 0 {
		r.Fail(fmt.Errorf("part with flags %#x", flags))
	}
	p.Clean = flags&flagClean != 0
	if first := r.Bytes(r.Count(1)); len(first) > 0 {
		p.First = bytes.Clone(first)
	}
	if flags&flagDirectory == 0 {
		return
	}
	d := &p.Directory
	d.At, d.Len = int64(min(r.Uvarint(), math.MaxInt64)), part.AsInt(r.Uvarint())
	if sum := r.Bytes(8); r.Err() == nil {
		d.Sum = binary.LittleEndian.Uint64(sum)
	}
	if d.Len == 0 || d.At > p.Size || int64(d.Len) > p.Size-d.At {
		r.Fail(fmt.Errorf("directory of %d bytes at byte %d of a part of %d", d.Len, d.At, p.Size))
	}
}

// The least number of bytes that appendTo writes for a batch without parts, and for a part, in
// any version of the manifest.
const (
	minBatchBytes = 1 + 1 + 3 + 8
	minPartBytes  = 1 + 1 + 8 + 1 + 1
)

func decodeBatch(r *wire.Reader, version byte) *batch {
	b := &batch{id: r.Uvarint()}
	switch kind := r.Byte(); kind {
	case 0, 1:
		b.trace = kind == 1
	default:
		r.Fail(fmt.Errorf("batch of kind %d", kind))
	}
	b.desc.Lower, b.desc.Upper, b.desc.Since = r.Frontier(), r.Frontier(), r.Frontier()
	b.after, b.through = storage.SeqNo(r.Uvarint()), storage.SeqNo(r.Uvarint())
	b.level = int(min(r.Uvarint(), math.MaxInt32))
	//museum:larger-program-damages
	b.rows = int64(min(r.Uvarint(), math.MaxInt64))
	b.minTime, b.maxTime = r.Uvarint(), r.Uvarint()
	b.foldable = int64(min(r.Uvarint(), math.MaxInt64))
	n := r.Count(minPartBytes)
	for range n {
		p := part.Part{Key: r.Text(), Size: int64(min(r.Uvarint(), math.MaxInt64))}
		if sum := r.Bytes(8); r.Err() == nil {
			p.Sum = binary.LittleEndian.Uint64(sum)
		}
		p.Rows = part.AsInt(r.Uvarint())
		p.Bytes = part.AsInt(r.Uvarint())
		if version > 1 {
			decodePlaces(r, &p)
		}
		if r.Err() != nil {
			return nil
		}
		b.parts = append(b.parts, p)
	}
	if version > 1 {
		if n := r.Uvarint(); n > 0 {
			b.last = bytes.Clone(r.Bytes(part.AsInt(n - 1)))
		}
	}
	if r.Err() == nil {
		if err := b.validate(); err != nil {
			r.Fail(err)
		}
	}
	return b
}

// validate checks what can be checked without reading the batch.
func (b *batch) validate() error {
	rows := int64(0)
	for i := range b.parts {
		p := &b.parts[i]
		switch {
		case p.Key == "" || p.Rows <= 0 || p.Size <= 0:
			return fmt.Errorf("%s: part %d is empty or has no key", b, i)
		case p.Rows > p.Bytes/part.RowOverhead:
			return fmt.Errorf("%s: part %d has %d rows in %d bytes", b, i, p.Rows, p.Bytes)
		case int64(p.Rows) > b.rows-rows:
			return fmt.Errorf("%s: more rows in its parts than %d in all", b, b.rows)
		}
		rows += int64(p.Rows)
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

// batchSet is one version of the batches of a stream. It never changes: background work
// replaces it by another. A snapshot shares the set, so it copies nothing, and its
// reference to the set keeps the blobs.
type batchSet struct {
	trace    []*batch // by time, contiguous
	unsealed []*batch // by position
	refs     int      // one of the stream while it is current, and one of each holder; guarded by state.mu
}

// traceUpper is the border between the places of an update. An update before it is in the
// trace, and does not count in unsealed batches or in the tail.
func (s *batchSet) traceUpper() frontier.Antichain {
	if n := len(s.trace); n > 0 {
		return s.trace[n-1].desc.Upper
	}
	return frontier.Antichain{}
}

func (s *batchSet) all() []*batch { return slices.Concat(s.trace, s.unsealed) }

// replaceRun returns list with the run old replaced by with. It returns false if list does
// not hold old as one run.
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
