package operators

import (
	"context"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/operators/internal/order"
	"github.com/tidemark-go/tidemark/operators/internal/weight"
)

// Limits bound what an operator holds back until a batch that others wait for has come. 0
// means the default. A number below 0 is refused.
//
// A batch that takes long is not missing: the operator makes its upstream wait. The batch
// may be done already, and wait in the upstream behind others that were done before it. So
// the operator takes a burst of batches now and then, and pauses after each burst. The
// pause is the wait so far, times the larger of two shares: the burst's share of twice
// Bytes, and the burst's share of 64 batches. So while one call is slow, what is held grows
// beyond the limits with the logarithm of the wait:
//
//	wait          held beyond the limits
//	2 seconds     5 times Bytes
//	4 minutes     16 times Bytes
//	longer        Bytes more every two minutes, or 16 batches a minute
//
// One batch of more than Bytes counts as Bytes.
//
// Batches that were done before the slow batch make the wait longer: for each Bytes of
// them, it is 1.6 times as long, and at most two minutes longer. Behind 4 batches of 16
// MiB, a call of 2s is waited for 3s. So let Bytes be at least what the parallel calls
// before the operator have at once: workers times source.MaxBatchBytes. By default that is
// 64 MiB for 4 workers.
type Limits struct {
	Batches int   // 0 means 1024
	Updates int   // in all of them; 0 means 1<<20
	Bytes   int64 // of all of them, about, in memory; 0 means 64 MiB
}

// InOrder puts batches back in order after parallel flows, which pass each batch on when
// they are done with it. A sink does this by itself. A stateful operator before the sink
// needs InOrder. The first batch has the lower from: the frontier that the source was built
// with (source.From), else {0}.
//
//	in  -- [2,5) -- [0,2) ---------- [9,10) -- [5,9) ------------
//
//	out ----------- [0,2) - [2,5) ------------ [5,9) - [9,10) --
//
// When the limits are exceeded, InOrder makes its upstream wait: see Limits.
//
// Errors: ErrMissing at the end of the input; ErrOverlap; ErrForeignElement;
// persist.ErrInvalid if a limit is below 0.
func InOrder[K, V any](ctx context.Context, from frontier.Antichain, limits Limits) *BatchFlow {
	most, err := order.Limits(limits).OrDefault()
	return newBatchFlow(ctx, "InOrder", func(f *BatchFlow) {
		if err != nil {
			f.fail(err, from)
			return
		}
		held, pace := order.NewBuffer[Batch[K, V]](most), order.NewPace(most)
		defer pace.Stop()
		weigh := weight.NewUpdates[K, V]()
		next := from
		for {
			receive, wake := pace.Next(held.Over(), next)
			if !receive {
				select {
				case <-wake:
					pace.Woken()
					continue
				case <-f.ctx.Done():
					return
				}
			}
			element, ok, woken := f.receiveOr(wake)
			if woken {
				pace.Woken()
				continue
			}
			if !ok {
				if f.ctx.Err() == nil {
					if err := held.Missing(next); err != nil {
						f.fail(err, next)
					}
				}
				return
			}
			pace.Received()
			b, skip, err := batchOf[K, V](element)
			if skip || (err == nil && b.Upper.LessEqual(next)) {
				continue // all of it was passed on before
			}
			if err == nil {
				size := order.Size{Updates: len(b.Updates), Bytes: weigh.Of(b.Updates)}
				pace.Weighed(size.Bytes)
				err = held.Add(b.Description, size, b)
			}
			if err == nil {
				err = held.Skip(next)
			}
			if err != nil {
				f.fail(err, next)
				return
			}
			for b, _, ok := held.Take(next); ok; b, _, ok = held.Take(next) {
				if !f.out.Send(b) {
					return
				}
				next = b.Upper
			}
		}
	})
}
