package concurrent

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// client is one writer of a run.
type client struct {
	*run
	id      int
	rng     *rand.Rand
	serial  int
	present []Update // updates that it wrote and may take back; Time is the stream's number
}

// write asks for operations of every kind while there are some left.
func (r *run) write(ctx context.Context, i int) {
	c := &client{run: r, id: i, rng: r.rng("writer", i)}
	for r.takes(ctx) {
		switch n := c.rng.IntN(100); {
		case n < 15:
			c.snapshot(ctx)
		case n < 25:
			c.describe(ctx)
		case n < 85:
			c.commands(ctx, 1, c.effects)
		default: // several commands on their way at once
			c.commands(ctx, 2+c.rng.IntN(3), c.effects)
		}
	}
}

// commands submits up to n commands, and then waits for all. The first command uses the
// operation that takes has counted. draw says what a command does.
func (c *client) commands(ctx context.Context, n int, draw func() []Effect) {
	h, err := c.owner.get(ctx)
	if err != nil {
		return
	}
	type submitted struct {
		Command
		future *persist.Future[storage.SeqNo]
	}
	var all []submitted
	for i := range n {
		if i > 0 && !c.takes(ctx) {
			break
		}
		s := submitted{Command: Command{Client: c.id, Effects: draw()}}
		s.Call = c.tick()
		s.future = submit(ctx, h, c.streams, s.Effects)
		s.Submitted = c.tick()
		all = append(all, s)
	}
	stopped := false
	for _, s := range all {
		s.SeqNo, s.Err = s.future.Wait(ctx)
		s.Return, s.Outcome = c.tick(), OutcomeOf(s.Err)
		if ctx.Err() != nil && errors.Is(s.Err, ctx.Err()) {
			s.Outcome = Unknown
		}
		c.addCommand(s.Command)
		c.learn(&s.Command)
		stopped = stopped || errors.Is(s.Err, persist.ErrStopped) || s.Outcome == Unknown
		if s.Outcome == NoEffect {
			c.failed("command", s.Err)
		}
	}
	if stopped {
		c.owner.lost(ctx, h)
	}
}

// learn takes note of what an answer says about the frontiers.
func (c *client) learn(cmd *Command) {
	var mismatch *persist.UpperMismatchError
	for i := range cmd.Effects {
		e := &cmd.Effects[i]
		stream := slices.Index(c.streams, e.Stream)
		known := &c.known[stream]
		switch {
		case cmd.Outcome == Done:
			if e.Seal != nil {
				t, _ := e.Seal.Elem()
				raise(&known.upper, t)
			}
			if e.Since != nil {
				t, _ := e.Since.Elem()
				raise(&known.since, t)
			}
			if len(e.Updates) > 1 && e.Updates[1].Diff > 0 {
				u := e.Updates[1]
				u.Time = uint64(stream)
				c.present = append(c.present, u)
			}
		case errors.As(cmd.Err, &mismatch) && mismatch.Stream == e.Stream:
			t, _ := mismatch.Upper.Elem()
			raise(&known.upper, t)
		}
	}
}

// effects draws a command.
func (c *client) effects() []Effect {
	stream := c.rng.IntN(c.Streams)
	switch n := c.rng.IntN(100); {
	case n < 45:
		return []Effect{c.written(stream)}
	case n < 62:
		return []Effect{c.compareAndAppend(stream)}
	case n < 72:
		upper := frontier.At(c.known[stream].upper.Load() + uint64(c.rng.IntN(3)))
		return []Effect{{Stream: c.streams[stream], Seal: &upper}}
	case n < 82:
		return c.sinceEffect(stream)
	}
	var effects []Effect
	for _, s := range c.rng.Perm(c.Streams)[:min(c.Streams, 2+c.rng.IntN(2))] {
		e := c.written(s)
		if c.rng.IntN(3) == 0 {
			e = c.compareAndAppend(s)
		} else if c.rng.IntN(4) == 0 {
			upper := frontier.At(c.known[s].upper.Load() + uint64(c.rng.IntN(2)))
			e.Seal = &upper
		}
		effects = append(effects, e)
	}
	return effects
}

// sinceEffect allows compaction up to the upper or a little less, so that most of what is
// written is compacted soon.
func (c *client) sinceEffect(stream int) []Effect {
	known := &c.known[stream]
	t := known.upper.Load() + 1
	since := frontier.At(max(known.since.Load(), t-min(t, uint64(c.rng.IntN(4)))))
	return []Effect{{Stream: c.streams[stream], Since: &since}}
}

// written draws updates from the upper on. The first is a mark of the command, which is
// never taken back. With it there may be an update that may be taken back, the same update
// twice, or the retraction of something written before.
func (c *client) written(stream int) Effect {
	upper := c.known[stream].upper.Load()
	return Effect{Stream: c.streams[stream], Updates: c.updates(stream, upper, upper+4)}
}

func (c *client) compareAndAppend(stream int) Effect {
	upper := c.known[stream].upper.Load()
	expected, next := frontier.At(upper), frontier.At(upper+1+uint64(c.rng.IntN(3)))
	t, _ := next.Elem()
	return Effect{Stream: c.streams[stream], Expected: &expected, Updates: c.updates(stream, upper, t-1), Seal: &next}
}

// updates draws updates with times from first to last.
func (c *client) updates(stream int, first, last uint64) []Update {
	c.serial++
	mark := fmt.Sprintf("%d.%d", c.id, c.serial)
	time := func() uint64 { return first + c.rng.Uint64N(last-first+1) }
	updates := []Update{{Key: mark, Val: "mark", Time: time(), Diff: 1}}
	switch c.rng.IntN(4) {
	case 0:
		updates = append(updates, Update{Key: mark, Val: "more", Time: time(), Diff: 1})
	case 1:
		more := Update{Key: mark, Val: "twice", Time: time(), Diff: 1}
		updates = append(updates, more, more)
	case 2:
		if i := slices.IndexFunc(c.present, func(u Update) bool { return u.Time == uint64(stream) }); i >= 0 {
			u := c.present[i]
			c.present = slices.Delete(c.present, i, i+1)
			u.Time, u.Diff = time(), -u.Diff
			updates = append(updates, u)
		}
	}
	return updates
}

// submit hands a command over.
func submit(ctx context.Context, h *handles, streams []string, effects []Effect) *persist.Future[storage.SeqNo] {
	if len(effects) == 1 {
		e := &effects[0]
		w := h.writes[slices.Index(streams, e.Stream)]
		switch {
		case e.Expected != nil:
			return w.CompareAndAppend(ctx, e.Updates, *e.Expected, *e.Seal)
		case e.Seal != nil && e.Seal.IsEmpty():
			return w.Finish(ctx)
		case e.Seal != nil:
			t, _ := e.Seal.Elem()
			return w.Seal(ctx, t)
		case e.Since != nil:
			return w.AllowCompaction(ctx, *e.Since)
		default:
			return w.Write(ctx, e.Updates)
		}
	}
	return h.multi.WriteAtomic(ctx, func(b *persist.AtomicWrite) error {
		for i := range effects {
			e := &effects[i]
			w := h.writes[slices.Index(streams, e.Stream)]
			if e.Expected != nil {
				if err := persist.AddCompareAndAppend(b, w, e.Updates, *e.Expected, *e.Seal); err != nil {
					return err
				}
				continue
			}
			for chunk := range slices.Chunk(e.Updates, 1) { // one event all the same
				if err := persist.AddWrite(b, w, chunk); err != nil {
					return err
				}
			}
			if e.Seal != nil {
				t, _ := e.Seal.Elem()
				if err := persist.AddSeal(b, w, t); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// finish finishes every stream, which ends the tails.
func (r *run) finish(ctx context.Context) {
	c := &client{run: r, id: r.Writers + r.Listeners, rng: r.rng("finish", 0)}
	for _, name := range r.streams {
		for done := false; !done && ctx.Err() == nil; {
			h, err := r.owner.get(ctx)
			if err != nil {
				return
			}
			end := frontier.Empty()
			cmd := Command{Client: c.id, Effects: []Effect{{Stream: name, Seal: &end}}, Call: r.tick()}
			f := submit(ctx, h, r.streams, cmd.Effects)
			cmd.Submitted = r.tick()
			cmd.SeqNo, cmd.Err = f.Wait(ctx)
			cmd.Return, cmd.Outcome = r.tick(), OutcomeOf(cmd.Err)
			r.addCommand(cmd)
			if done = cmd.Outcome == Done; done {
				break
			}
			r.failed("finish", cmd.Err)
			if errors.Is(cmd.Err, persist.ErrStopped) || cmd.Outcome == Unknown {
				r.owner.lost(ctx, h)
			} else {
				sleep(ctx, r.Pause)
			}
		}
	}
}
