package source

import (
	"bytes"
	"cmp"
	"container/heap"
	"fmt"
	"math/bits"
	"slices"
	"unsafe"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/internal/brief"
	"github.com/tidemark-go/tidemark/persist"
)

// pending holds updates until their times are sealed. It keeps them by time, so that what a
// seal does not cover is not touched. It compares them as the stream does, by their
// encoding.
type pending[K, V any] struct {
	stream   string
	kc       persist.Codec[K]
	vc       persist.Codec[V]
	slots    map[uint64]*slot[K, V]
	earliest byTime[K, V] // a heap of all slots
	latest   byTime[K, V] // the same, the other way round
	bytes    int64        // of memory
	scratch  []byte       // for the next encoding
}

// slot is what is pending of one time.
type slot[K, V any] struct {
	time    uint64
	entries []entry[K, V]
	bytes   int64  // of memory
	encoded int64  // see rowBytes
	at      [2]int // where it is in both heaps
}

type entry[K, V any] struct {
	update  persist.Update[K, V]
	encoded []byte // key, then value
	key     int    // length of the key
}

func (e *entry[K, V]) size() int64 { return int64(unsafe.Sizeof(*e)) + 2*int64(len(e.encoded)) }

// slotBytes is what a slot takes by itself, with its places in the map and in both heaps.
const slotBytes = 200

func newPending[K, V any](read *persist.ReadHandle[K, V]) *pending[K, V] {
	kc, vc := read.Codecs()
	p := &pending[K, V]{stream: read.StreamName(), kc: kc, vc: vc}
	p.clear()
	return p
}

// clear forgets everything.
func (p *pending[K, V]) clear() {
	p.slots, p.bytes = map[uint64]*slot[K, V]{}, 0
	p.earliest, p.latest = byTime[K, V]{}, byTime[K, V]{backwards: true}
}

// maxScratch keeps a single large update from staying in memory.
const maxScratch = 64 << 10

// add takes in an update. Errors: those of persist.EncodeRow.
func (p *pending[K, V]) add(u persist.Update[K, V]) error {
	//museum:codec-trusted-in-sources
	row, scratch, err := persist.EncodeRow(p.scratch[:0], p.kc, p.vc, &u)
	if err != nil {
		return fmt.Errorf("tidemark: stream %q: %w", p.stream, err)
	}
	p.addRow(u, row)
	if cap(scratch) <= maxScratch {
		p.scratch = scratch
	}
	return nil
}

// addRow takes in an update that was read as this row.
func (p *pending[K, V]) addRow(u persist.Update[K, V], row persist.Row) {
	encoded := slices.Concat(row.Key, row.Val)
	p.put(entry[K, V]{u, encoded, len(row.Key)})
}

func (p *pending[K, V]) put(e entry[K, V]) {
	s := p.slots[e.update.Time]
	if s == nil {
		s = &slot[K, V]{time: e.update.Time, bytes: slotBytes}
		p.slots[s.time] = s
		heap.Push(&p.earliest, s)
		heap.Push(&p.latest, s)
		p.bytes += slotBytes
	}
	s.entries = append(s.entries, e)
	s.bytes += e.size()
	s.encoded += rowOverhead + int64(len(e.encoded))
	p.bytes += e.size()
}

// has reports whether anything is pending before upper.
func (p *pending[K, V]) has(upper frontier.Antichain) bool {
	return len(p.earliest.slots) > 0 && !upper.Admits(p.earliest.slots[0].time)
}

func (p *pending[K, V]) remove(s *slot[K, V]) {
	delete(p.slots, s.time)
	heap.Remove(&p.earliest, s.at[0])
	heap.Remove(&p.latest, s.at[1])
	p.bytes -= s.bytes
}

// dropLatest forgets what is pending of the last time, which it returns.
func (p *pending[K, V]) dropLatest() uint64 {
	s := p.latest.slots[0]
	p.remove(s)
	return s.time
}

// take removes the updates with times before upper and returns them consolidated: sorted by
// encoded (key, value), then time, equal ones added up, zeros left out. If there are more
// than limit it takes the earliest, and returns where it has stopped, but a single time is
// never split. Errors: persist.ErrOverflow.
func (p *pending[K, V]) take(upper frontier.Antichain, limit bound) ([]persist.Update[K, V], frontier.Antichain, error) {
	var taken []entry[K, V]
	var encoded int64
	for p.has(upper) {
		s := p.earliest.slots[0]
		encoded += s.encoded
		//museum:seals-in-one-batch
		if len(taken) > 0 && limit.exceeded(len(taken)+len(s.entries), encoded) {
			upper = frontier.At(s.time)
			break
		}
		p.remove(s)
		taken = append(taken, s.entries...)
	}
	slices.SortFunc(taken, compareEntries[K, V])

	updates := make([]persist.Update[K, V], 0, len(taken))
	for i := 0; i < len(taken); {
		var sum sum
		j := i
		for ; j < len(taken) && compareEntries(taken[i], taken[j]) == 0; j++ {
			sum.add(taken[j].update.Diff)
		}
		u := taken[i].update
		var ok bool
		if u.Diff, ok = sum.int64(); !ok {
			return nil, upper, &persist.StreamError{Stream: p.stream, Kind: persist.ErrOverflow, Detail: fmt.Sprintf(
				"%d updates of key %s at time %d: write diffs whose sum fits", j-i, brief.Bytes(taken[i].encoded[:taken[i].key]), u.Time)}
		}
		if u.Diff != 0 {
			updates = append(updates, u)
		}
		i = j
	}
	return updates, upper, nil
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

func compareEntries[K, V any](a, b entry[K, V]) int {
	if c := bytes.Compare(a.encoded[:a.key], b.encoded[:b.key]); c != 0 {
		return c
	}
	if c := bytes.Compare(a.encoded[a.key:], b.encoded[b.key:]); c != 0 {
		return c
	}
	return cmp.Compare(a.update.Time, b.update.Time)
}

// byTime is a heap of slots.
type byTime[K, V any] struct {
	slots     []*slot[K, V]
	backwards bool // the latest first
}

func (h *byTime[K, V]) which() int {
	if h.backwards {
		return 1
	}
	return 0
}

func (h *byTime[K, V]) Len() int { return len(h.slots) }
func (h *byTime[K, V]) Less(i, j int) bool {
	return (h.slots[i].time < h.slots[j].time) != h.backwards // times differ
}
func (h *byTime[K, V]) Swap(i, j int) {
	h.slots[i], h.slots[j] = h.slots[j], h.slots[i]
	h.slots[i].at[h.which()], h.slots[j].at[h.which()] = i, j
}
func (h *byTime[K, V]) Push(x any) {
	added := x.(*slot[K, V]) //nolint:errcheck // nothing else is pushed
	added.at[h.which()] = len(h.slots)
	h.slots = append(h.slots, added)
}
func (h *byTime[K, V]) Pop() any {
	last := h.slots[len(h.slots)-1]
	h.slots[len(h.slots)-1] = nil
	h.slots = h.slots[:len(h.slots)-1]
	return last
}
