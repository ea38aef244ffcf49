package source

import (
	"bytes"
	"cmp"
	"slices"
	"unsafe"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
)

// pending holds updates until their times are sealed. It compares them as the
// stream does, by their encoding.
type pending[K, V any] struct {
	kc      persist.Codec[K]
	vc      persist.Codec[V]
	entries []entry[K, V]
	bytes   int64
}

type entry[K, V any] struct {
	update  persist.Update[K, V]
	encoded []byte // key, then value
	key     int    // length of the key
}

func (e *entry[K, V]) size() int64 { return int64(unsafe.Sizeof(*e)) + 2*int64(len(e.encoded)) }

func newPending[K, V any](read *persist.ReadHandle[K, V]) *pending[K, V] {
	kc, vc := read.Codecs()
	return &pending[K, V]{kc: kc, vc: vc}
}

// add takes in an update. Errors are the codecs'.
func (p *pending[K, V]) add(u persist.Update[K, V]) error {
	encoded, err := p.kc.Append(nil, u.Key)
	if err != nil {
		return err
	}
	key := len(encoded)
	if encoded, err = p.vc.Append(encoded, u.Val); err != nil {
		return err
	}
	p.entries = append(p.entries, entry[K, V]{u, encoded, key})
	p.bytes += p.entries[len(p.entries)-1].size()
	return nil
}

// clear forgets everything.
func (p *pending[K, V]) clear() { p.entries, p.bytes = nil, 0 }

// take removes the updates with times before upper and returns them consolidated:
// sorted by encoded (key, value), then time, equal ones added up, zeros left out.
func (p *pending[K, V]) take(upper frontier.Antichain) []persist.Update[K, V] {
	var taken, left []entry[K, V]
	for _, e := range p.entries {
		if upper.Admits(e.update.Time) {
			left = append(left, e)
		} else {
			taken = append(taken, e)
			p.bytes -= e.size()
		}
	}
	p.entries = left
	slices.SortFunc(taken, compareEntries[K, V])

	updates := make([]persist.Update[K, V], 0, len(taken))
	for i := 0; i < len(taken); {
		sum := taken[i].update
		j := i + 1
		for ; j < len(taken) && compareEntries(taken[i], taken[j]) == 0; j++ {
			sum.Diff += taken[j].update.Diff
		}
		if sum.Diff != 0 {
			updates = append(updates, sum)
		}
		i = j
	}
	return updates
}

func compareEntries[K, V any](a, b entry[K, V]) int {
	if c := bytes.Compare(a.encoded[:a.key], b.encoded[:b.key]); c != 0 {
		return c
	}
	if c := bytes.Compare(a.encoded[a.key:], b.encoded[b.key:]); c != 0 {
		return c
	}
	return cmp.Compare(a.update.Time, b.update.Time)
}
