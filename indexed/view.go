package indexed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"sort"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed/internal/part"
)

// mayHave reports whether the batch may have keys in [from, to]. If to is nil, the range has
// no end.
func (b *batch) mayHave(from, to []byte) bool {
	switch {
	case len(b.parts) == 0:
		return false
	case to != nil && bytes.Compare(b.parts[0].First, to) > 0:
		return false
	}
	return b.last == nil || bytes.Compare(from[:min(len(from), part.MaxSeparator)], b.last) <= 0
}

// mayHaveOf returns those of some ascending keys that the batch may have.
func (b *batch) mayHaveOf(keys [][]byte) [][]byte {
	if len(b.parts) == 0 {
		return nil
	}
	first := b.parts[0].First
	keys = keys[sort.Search(len(keys), func(i int) bool { return bytes.Compare(keys[i], first) >= 0 }):]
	if b.last == nil {
		return keys
	}
	return keys[:sort.Search(len(keys), func(i int) bool {
		return bytes.Compare(keys[i][:min(len(keys[i]), part.MaxSeparator)], b.last) > 0
	})]
}

// Keys yields the contents as of time t of some keys, sorted by (key, val). The keys must be
// ascending, and different. Each row has t as its time, and its multiplicity at t as its diff.
//
// It reads the pages that may have one of the keys, and no others. It takes up to keysAtOnce
// keys before it reads. An error among the keys ends the sequence, after the rows of the keys
// before it.
//
// Errors: those of AsOf.
func (s *Snapshot) Keys(ctx context.Context, t uint64, keys iter.Seq2[[]byte, error]) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		var some [][]byte
		var failed error
		size := 0
		for key, err := range keys {
			if failed = err; failed != nil {
				break
			}
			some = append(some, key)
			if size += len(key); len(some) == keysAtOnce || size >= keyBytesAtOnce {
				if !s.keys(ctx, t, some, yield) {
					return
				}
				some, size = nil, 0
			}
		}
		if len(some) > 0 && !s.keys(ctx, t, some, yield) {
			return
		}
		if failed != nil {
			yield(Row{}, failed)
		}
	}
}

// Keys takes so many keys, or bytes of keys, before it reads.
const (
	keysAtOnce     = 4096
	keyBytesAtOnce = 1 << 20
)

// keys reads some keys. It returns false if the caller wants no more.
func (s *Snapshot) keys(ctx context.Context, t uint64, keys [][]byte, yield func(Row, error) bool) bool {
	return s.asOf(ctx, t, yield, func(b *batch, times part.TimeFilter) counted {
		if some := b.mayHaveOf(keys); len(some) > 0 {
			return s.reader.NewKeyed(b.parts, times, some, s.fitsCache())
		}
		return nil
	}, func(r *part.Run, times part.TimeFilter) part.Source { return r.Keyed(times, keys) })
}

// Range yields the contents as of time t with keys in [from, to), sorted by (key, val). If to
// is nil, the range has no end. Each row has t as its time, and its multiplicity at t as its
// diff.
//
// Errors: those of AsOf.
func (s *Snapshot) Range(ctx context.Context, t uint64, from, to []byte) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		s.asOf(ctx, t, yield, func(b *batch, times part.TimeFilter) counted {
			if !b.mayHave(from, to) {
				return nil
			}
			return s.reader.NewRanged(b.parts, times, from, to, s.fitsCache())
		}, func(r *part.Run, times part.TimeFilter) part.Source { return r.Ranged(times, from, to) })
	}
}

// fitsCache reports whether all batches of the snapshot fit into the cache together.
func (s *Snapshot) fitsCache() bool {
	s.measure.Do(func() {
		bytes := int64(0)
		for _, list := range [][]*batch{s.trace, s.unsealed} {
			for _, b := range list {
				bytes += b.memBytes()
			}
		}
		s.fits = s.reader.FitsCache(bytes)
	})
	return s.fits
}

// counted is a source of a batch that counts what its reads cost.
type counted interface {
	part.Source
	Visits() int
}

// asOf yields the contents as of time t of what the sources of batches and runs have.
func (s *Snapshot) asOf(ctx context.Context, t uint64, yield func(Row, error) bool,
	ofBatch func(*batch, part.TimeFilter) counted, ofRun func(*part.Run, part.TimeFilter) part.Source,
) bool {
	err := s.checkOpen()
	if err == nil {
		err = ctx.Err() // what is in memory is read without looking at it
	}
	if err != nil {
		yield(Row{}, err)
		return false
	}
	if !s.since.Admits(t) {
		yield(Row{}, streamErrorf(s.stream, ErrAsOfBeforeSince, "contents as of time %d were asked for, but the since is %s: read there or later", t, s.since))
		return false
	}
	trace, unmoved := s.filters(frontier.Antichain{}, behind(t))
	var sources []part.Source
	var ofTrace []counted
	for b, times := range s.batches(trace, unmoved) {
		source := ofBatch(b, times)
		if source == nil {
			continue
		}
		sources = append(sources, source)
		if b.trace {
			ofTrace = append(ofTrace, source)
		}
	}
	defer func() {
		//museum:reads-pay-for-nothing
		if s.reads.add(beyondTheFirst(ofTrace)) && s.wake != nil {
			s.wake()
		}
	}()
	for _, run := range s.sortedTail() {
		sources = append(sources, ofRun(run, unmoved))
	}
	for r, err := range part.Consolidate(ctx, sources, frontier.At(t), s.reader.Held(), tooLargeSum(s.stream)) {
		if err != nil && !errors.Is(err, ErrOverflow) {
			err = fmt.Errorf("tidemark: snapshot of stream %s: %w", quoteName(s.stream), err)
		}
		if !yield(r, err) || err != nil {
			return false
		}
	}
	return true
}
