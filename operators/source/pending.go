package source

import (
	"bytes"
	"cmp"
	"container/heap"
	"fmt"
	"iter"
	"math"
	"math/bits"
	"slices"
	"unsafe"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/internal/brief"
	"github.com/tidemark-go/tidemark/persist"
)

// pending holds updates until their times are sealed. It keeps them by time, so that a seal
// does not touch what it does not cover. It keeps them encoded: that takes less memory, the
// stream compares them so, and an update that another one cancels, or that is given up, is
// never decoded.
type pending struct {
	stream   string
	slots    map[uint64]*slot
	earliest byTime // a heap of all slots
	latest   byTime // the same, the other way round
	most     int    // slots at a time, since the newest clear
	bytes    int64  // of memory
}

// slot is what is pending of one time.
type slot struct {
	time    uint64
	entries []entry
	data    []byte // key and value of each entry, one after the other
	encoded int64  // see rowBytes
	at      [2]int // where it is in both heaps
}

// entry is an update of a slot's time. No key or value of a stream has 2 GiB.
type entry struct {
	start    int // of the key, in data; the value follows
	key, val uint32
	diff     int64
}

// slotBytes is what a slot takes by itself, with its places in the map and in both heaps.
const slotBytes = 200

// bytes is the memory of a slot. While entries or data grow, the old and the new array are
// there together.
func (s *slot) bytes() int64 {
	return slotBytes + int64(cap(s.entries))*int64(unsafe.Sizeof(entry{})) + int64(cap(s.data))
}

// row returns the update of an entry. It refers to data.
func (s *slot) row(e entry) persist.Row {
	key, val := e.start+int(e.key), e.start+int(e.key)+int(e.val)
	return persist.Row{Key: s.data[e.start:key], Val: s.data[key:val], Time: s.time, Diff: e.diff}
}

// consolidate sorts the entries by encoded (key, value), adds up equal ones and leaves zeros
// out. It needs no memory: a single time may have any number of updates.
func (s *slot) consolidate(stream string) error {
	slices.SortFunc(s.entries, s.compare)
	to := 0
	for i := 0; i < len(s.entries); {
		var sum sum
		e, first := s.entries[i], i
		for ; i < len(s.entries) && s.compare(e, s.entries[i]) == 0; i++ {
			sum.add(s.entries[i].diff)
		}
		var ok bool
		if e.diff, ok = sum.int64(); !ok {
			return &persist.StreamError{Stream: stream, Kind: persist.ErrOverflow, Detail: fmt.Sprintf(
				"%d updates of key %s at time %d: write diffs whose sum fits", i-first, brief.Bytes(s.row(e).Key), s.time)}
		}
		//museum:least-sum/2
		if e.diff == math.MinInt64 { // of two entries at least: see add
			e.diff = leastFirst
			s.entries[to] = e
			to++
			e.diff = leastSecond
		}
		if e.diff != 0 {
			s.entries[to] = e
			to++
		}
	}
	s.entries = s.entries[:to]
	return nil
}

func (s *slot) compare(a, b entry) int {
	aVal, bVal := a.start+int(a.key), b.start+int(b.key)
	if c := bytes.Compare(s.data[a.start:aVal], s.data[b.start:bVal]); c != 0 {
		return c
	}
	return bytes.Compare(s.data[aVal:aVal+int(a.val)], s.data[bVal:bVal+int(b.val)])
}

func newPending(stream string) *pending {
	p := &pending{stream: stream}
	p.clear()
	return p
}

// clear forgets everything.
func (p *pending) clear() {
	p.slots, p.most, p.bytes = map[uint64]*slot{}, 0, 0
	p.earliest, p.latest = byTime{}, byTime{backwards: true}
}

// add takes in an update, of which it copies the key and the value.
func (p *pending) add(row persist.Row) {
	//museum:times-added-up
	at := row.Time
	s := p.slots[at]
	if s == nil {
		s = &slot{time: at}
		p.slots[at] = s
		p.most = max(p.most, len(p.slots))
		heap.Push(&p.earliest, s)
		heap.Push(&p.latest, s)
	} else {
		p.bytes -= s.bytes()
	}
	e := entry{len(s.data), uint32(len(row.Key)), uint32(len(row.Val)), row.Diff}
	if least(row) {
		e.diff = leastFirst
		s.entries = append(s.entries, e)
		e.diff = leastSecond
	}
	s.entries = append(s.entries, e)
	s.data = append(append(s.data, row.Key...), row.Val...)
	s.encoded += rowBytes(row)
	p.bytes += s.bytes()
}

// has reports whether anything is pending before upper.
func (p *pending) has(upper frontier.Antichain) bool {
	return len(p.earliest.slots) > 0 && !upper.Admits(p.earliest.slots[0].time)
}

// manySlots is how many slots make it worth to give back the map and the heaps, which never
// shrink.
const manySlots = 1 << 10

func (p *pending) remove(s *slot) {
	delete(p.slots, s.time)
	heap.Remove(&p.earliest, s.at[0])
	heap.Remove(&p.latest, s.at[1])
	p.bytes -= s.bytes()
	if len(p.slots) == 0 && p.most > manySlots {
		p.clear()
	}
}

// dropLatest forgets what is pending of the last time, which it returns.
func (p *pending) dropLatest() uint64 {
	s := p.latest.slots[0]
	p.remove(s)
	return s.time
}

// take removes the updates with times before upper and returns them consolidated: equal ones
// added up, zeros left out. If there are more than limit it takes the earliest, and returns
// where it has stopped, but a single time is never split. Errors: persist.ErrOverflow, with
// the updates before the time of that sum.
func (p *pending) take(upper frontier.Antichain, limit bound) (taken, frontier.Antichain, error) {
	var slots taken
	var encoded int64
	n := 0
	for p.has(upper) {
		s := p.earliest.slots[0]
		encoded += s.encoded
		//museum:seals-in-one-batch
		if n > 0 && limit.exceeded(n+len(s.entries), encoded) {
			upper = frontier.At(s.time)
			break
		}
		p.remove(s)
		slots = append(slots, s)
		n += len(s.entries)
	}
	for i, s := range slots {
		if err := s.consolidate(p.stream); err != nil {
			return slots[:i], frontier.At(s.time), err
		}
	}
	return slots, upper, nil
}

// taken is the updates of a batch: consolidated slots, the earliest time first.
type taken []*slot

// len returns the number of updates.
func (t taken) len() (n int) {
	for _, s := range t {
		n += len(s.entries)
	}
	return n
}

// rows yields the updates, sorted by encoded (key, value), then time. They refer to the slots.
// The rows of several times, which are no more than a batch may have, are sorted in memory of
// their own. Those of a single time, which may be many more, are sorted already.
func (t taken) rows() iter.Seq[persist.Row] {
	if len(t) == 1 {
		return func(yield func(persist.Row) bool) {
			for _, e := range t[0].entries {
				if !yield(t[0].row(e)) {
					return
				}
			}
		}
	}
	rows := make([]persist.Row, 0, t.len())
	for _, s := range t {
		for _, e := range s.entries {
			rows = append(rows, s.row(e))
		}
	}
	slices.SortFunc(rows, compareRows)
	return slices.Values(rows)
}

// sum is a sum of diffs that does not overflow on the way: MaxInt64, 1 and -1 are MaxInt64.
type sum struct{ high, low uint64 }

func (s *sum) add(diff int64) {
	var carry uint64
	s.low, carry = bits.Add64(s.low, uint64(diff), 0)
	s.high, _ = bits.Add64(s.high, uint64(diff>>63), carry)
}

// int64 returns the sum, or false if it does not fit.
//
//museum:wrapped-sum
func (s *sum) int64() (int64, bool) { return int64(s.low), s.high == uint64(int64(s.low)>>63) }

// compareRows orders rows as the stream does, by their encoding. Two rows that stand for one
// sum (see least) are ordered by their diffs.
func compareRows(a, b persist.Row) int {
	if c := bytes.Compare(a.Key, b.Key); c != 0 {
		return c
	}
	return cmp.Or(bytes.Compare(a.Val, b.Val), cmp.Compare(a.Time, b.Time), cmp.Compare(a.Diff, b.Diff))
}

// byTime is a heap of slots.
type byTime struct {
	slots     []*slot
	backwards bool // the latest first
}

func (h *byTime) which() int {
	if h.backwards {
		return 1
	}
	return 0
}

func (h *byTime) Len() int { return len(h.slots) }
func (h *byTime) Less(i, j int) bool {
	return (h.slots[i].time < h.slots[j].time) != h.backwards // times differ
}
func (h *byTime) Swap(i, j int) {
	h.slots[i], h.slots[j] = h.slots[j], h.slots[i]
	h.slots[i].at[h.which()], h.slots[j].at[h.which()] = i, j
}
func (h *byTime) Push(x any) {
	added := x.(*slot) //nolint:errcheck // nothing else is pushed
	added.at[h.which()] = len(h.slots)
	h.slots = append(h.slots, added)
}
func (h *byTime) Pop() any {
	last := h.slots[len(h.slots)-1]
	h.slots[len(h.slots)-1] = nil
	h.slots = h.slots[:len(h.slots)-1]
	return last
}
