package operators

import (
	"context"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/operators/internal/order"
)

// Limits bound what an operator holds back until a batch that is missing has come.
// Zero values mean the defaults.
type Limits struct {
	Batches int // 0 means 1024
	Updates int // in all of them; 0 means 1<<20
}

// OrDefault returns the limits with defaults filled in.
func (l Limits) OrDefault() Limits {
	if l.Batches <= 0 {
		l.Batches = 1024
	}
	if l.Updates <= 0 {
		l.Updates = 1 << 20
	}
	return l
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
// Errors: ErrMissing when the limits are exceeded, or at the end of the input;
// ErrOverlap; ErrForeignElement.
func InOrder[K, V any](ctx context.Context, from frontier.Antichain, limits Limits) *BatchFlow {
	limits = limits.OrDefault()
	return newBatchFlow(ctx, "InOrder", func(f *BatchFlow) {
		held := order.NewBuffer[Batch[K, V]](order.Limits(limits))
		next := from
		for {
			element, ok := f.receive()
			if !ok {
				if f.ctx.Err() == nil {
					if err := held.Missing(next); err != nil {
						f.fail(err, next)
					}
				}
				return
			}
			b, skip, err := batchOf[K, V](element)
			if skip || (err == nil && b.Upper.LessEqual(next)) {
				continue // covers nothing that was not passed on before
			}
			if err == nil {
				err = held.Add(b.Description, len(b.Updates), b, next)
			}
			if err == nil {
				err = held.Skip(next)
			}
			if err != nil {
				f.fail(err, next)
				return
			}
			for b, ok := held.Take(next); ok; b, ok = held.Take(next) {
				if !f.out.Send(b) {
					return
				}
				next = b.Upper
			}
		}
	})
}
