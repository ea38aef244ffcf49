package concurrent

import (
	"context"
	"fmt"
	"time"
)

// planTroubles decides what happens during the run, and after how many operations: a
// restart of the owner, one of each follower, and each trouble of the store. The seed
// decides their order.
func (r *run) planTroubles() {
	r.plan = append(r.plan, Trouble{Name: "restart", Reopen: true})
	for _, f := range r.followers {
		r.plan = append(r.plan, Trouble{Name: "restart of " + f.name, Strike: func(context.Context, uint64) func() {
			if err := f.drop(nil); err != nil {
				r.failed("stop "+f.name, err)
			}
			return nil
		}})
	}
	r.plan = append(r.plan, r.store.Troubles...)
	rng := r.rng("plan", 0)
	rng.Shuffle(len(r.plan), func(i, k int) { r.plan[i], r.plan[k] = r.plan[k], r.plan[i] })
	r.due = make(chan Trouble, len(r.plan))
	for i := range r.plan {
		r.at[int64(r.Operations*(i+1)/(len(r.plan)+1))] = i
	}
}

// trouble lets happen what is due, and opens the location again where that is needed. It
// ends with the context.
func (r *run) trouble(ctx context.Context) {
	rng := r.rng("trouble", 0)
	for {
		select {
		case <-ctx.Done():
			return
		case h := <-r.owner.broken:
			r.owner.mu.Lock()
			current := r.owner.current == h
			r.owner.mu.Unlock()
			if current {
				r.reopen(ctx)
			}
		case t := <-r.due:
			var end func()
			if t.Strike != nil {
				end = t.Strike(ctx, rng.Uint64())
			}
			sleep(ctx, upTo(rng, r.Pause))
			if end != nil {
				end()
			}
			if t.Reopen {
				r.reopen(ctx)
			}
			r.mu.Lock()
			r.history.Struck = append(r.history.Struck, t.Name)
			r.mu.Unlock()
		}
	}
}

// reopen restarts the owner. If the location cannot be opened any more, the run ends.
func (r *run) reopen(ctx context.Context) {
	if err := r.owner.close(); err != nil {
		r.failed("stop the runtime", err)
	}
	if err := r.owner.open(ctx); err != nil && ctx.Err() == nil {
		r.cancel(fmt.Errorf("open the store again: %w", err))
	}
}

// maintain does rounds of maintenance until the context ends.
func (r *run) maintain(ctx context.Context) {
	ticker := time.NewTicker(r.CompactEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		h, err := r.owner.get(ctx)
		if err != nil {
			return
		}
		if err := h.client.Maintain(ctx); err != nil {
			r.failed("maintain", err)
		}
	}
}
