package persist

import (
	"context"
	"fmt"
	"iter"

	"github.com/tidemark-go/tidemark/frontier"
)

// Current yields the contents at the last complete time, which is the time before Upper. It
// is AsOf for that time: each (key, value) has its multiplicity as the Diff, and that time
// as the Time, sorted by encoded (key, value). So it does not show what is written but not
// sealed.
//
//	upper     last complete time         yields
//	{0}       none                       nothing, as nothing is sealed
//	{t}       t-1                        the contents as of t-1
//	{}        the last of all times      everything: the stream is finished
//
// Errors: as in Consolidated; also ErrAsOfBeforeSince if the since is in advance of the
// last complete time, or is {}: then contents as of that time cannot be told from later
// ones.
func (s *Snapshot[K, V]) Current(ctx context.Context) iter.Seq2[Update[K, V], error] {
	t, ok := s.Upper().Before()
	switch {
	case !ok:
		// The interval has no times, so it yields nothing. If the snapshot is closed, it yields
		// that error.
		return s.Between(ctx, s.Since(), s.Since())
	case !s.Since().Admits(t):
		return func(yield func(Update[K, V], error) bool) { yield(Update[K, V]{}, s.noCurrent(t)) }
	}
	return s.AsOf(ctx, t)
}

// noCurrent is the error of Current for a since in advance of t, the last complete time.
func (s *Snapshot[K, V]) noCurrent(t uint64) error {
	detail := fmt.Sprintf("the last complete time is %d, but the since is %s: contents there cannot be told from later ones until the upper, %s, has passed the since; allow compaction up to the time before the upper at most (Upper().Before)", t, s.Since(), s.Upper())
	if s.Since() == frontier.Empty() {
		detail = "compaction to {} was allowed, which says that nobody reads any more"
	}
	return &StreamError{Stream: s.inner.StreamName(), Kind: ErrAsOfBeforeSince, Detail: detail}
}
