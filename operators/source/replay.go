package source

import (
	"context"
	"errors"
	"fmt"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/operators/internal/edge"
	"github.com/tidemark-go/tidemark/persist"
)

// batchesAtOnce is how many batches of stored history are read at once, at most. Rows are
// stored in the order of their keys, so each read goes through the whole history. Fewer and
// larger batches would save as many reads, but the consumer would hold several of them at a
// time. Batches that are large in bytes are read two at once. A batch larger than the limit
// is read alone.
const batchesAtOnce = 4

// replaying is the goroutine that reads stored history. While batches are emitted it reads
// those after them, and no more. It belongs to the emitter's replay. It ends after the last
// batch, at an error, or by stop.
type replaying[K, V any] struct {
	intervals chan []interval[K, V]
	cancel    context.CancelFunc
	err       error // why there are no more intervals; read only after the channel is closed
}

// errExited: a codec or a storage has ended its goroutine (runtime.Goexit, which failed
// assertions of tests call). So what was read may end anywhere.
var errExited = fmt.Errorf("tidemark: %w: a codec or a storage ended its goroutine instead of returning", edge.ErrPanic)

// replay starts to read [lower, upper) of a snapshot.
func (h history[K, V]) replay(ctx context.Context, s *persist.Snapshot[K, V], lower, upper frontier.Antichain, limit bound) *replaying[K, V] {
	ctx, cancel := context.WithCancel(ctx)
	r := &replaying[K, V]{intervals: make(chan []interval[K, V]), cancel: cancel, err: errExited}
	go func() {
		defer close(r.intervals)
		defer func() {
			if p := recover(); p != nil {
				r.err = edge.PanicError(p)
			}
		}()
		r.err = r.run(ctx, h, s, lower, upper, limit)
	}()
	return r
}

func (r *replaying[K, V]) run(ctx context.Context, h history[K, V], s *persist.Snapshot[K, V], lower, upper frontier.Antichain, limit bound) error {
	cuts, looked, err := h.plan(ctx, s, lower, upper, limit)
	if err != nil {
		return err
	}
	for lower.LessThan(upper) {
		for !lower.LessThan(cuts[0].upper) {
			cuts = cuts[1:]
		}
		intervals, err := h.read(ctx, s, lower, cuts[:atOnce(cuts, limit)], limit, looked)
		if errors.Is(err, errMore) {
			cuts, err = h.look(ctx, s, lower, upper, limit)
			looked = true
			if err == nil {
				continue
			}
		}
		if len(intervals) > 0 {
			lower = intervals[len(intervals)-1].upper
			select {
			case r.intervals <- intervals:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// stop ends the goroutine and waits for it.
func (r *replaying[K, V]) stop() {
	r.cancel()
	for range r.intervals {
		continue // what was read is dropped
	}
}
