package operators

import (
	"context"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/operators/internal/order"
	"github.com/tidemark-go/tidemark/operators/internal/weight"
)

// Limits bound what an operator holds back until a batch that others wait for has come.
// 0 means the default; less is refused.
//
// A batch that takes long is not missing: the operator lets its upstream wait. Since the
// batch may wait behind others that were done before it, it still takes some, and then
// pauses: for as large a part of the wait so far as it has taken of twice Bytes, or of 64
// batches, if that is more. So for as long as one call is slow what is held grows beyond
// the limits with the logarithm of the wait: by 5 times Bytes in two seconds, and 16 times
// in four minutes. From then on it is Bytes every two minutes, or 16 batches a minute. One
// batch of more than Bytes counts as one of that size.
//
// What was done before the slow batch makes the wait longer, to 1.6 times for each Bytes of
// it, and by two minutes at most: behind 4 batches of 16 MiB a call of 2s is waited for 3s.
// So let Bytes be at least what the parallel calls before the operator have at once: workers
// times source.MaxBatchBytes, which is 64 MiB for 4 of them by default.
type Limits struct {
	Batches int   // 0 means 1024
	Updates int   // in all of them; 0 means 1<<20
	Bytes   int64 // of all of them, about, in memory; 0 means 64 MiB
}

// InOrder puts batches back in order that parallel flows have passed on as they
// were done with them. The sink does so by itself; a stateful operator before it
// needs this one. The first batch has the lower from: what the source was built
// with (source.From), else {0}.
//
//	in  -- [2,5) -- [0,2) ---------- [9,10) -- [5,9) ------------
//
//	out ----------- [0,2) - [2,5) ------------ [5,9) - [9,10) --
//
// When the limits are exceeded it makes its upstream wait, see Limits.
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
				continue // covers nothing that was not passed on before
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
