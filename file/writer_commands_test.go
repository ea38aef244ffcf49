//go:build unix

package file_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// asked is a command that was submitted and not yet answered.
type asked struct {
	c   *command
	ans *persist.Future[storage.SeqNo]
}

// oneWriter is one goroutine's part of the work.
type oneWriter struct {
	*writingChild
	i       int
	n       int
	rng     *rand.Rand
	waiting []asked
}

func (w *writingChild) write(ctx context.Context, i int) error {
	o := &oneWriter{writingChild: w, i: i, rng: rand.New(rand.NewPCG(w.role.Seed, uint64(w.role.Incarnation*writers+i)))}
	for ctx.Err() == nil {
		if err := o.step(ctx); err != nil {
			return err
		}
		for ctx.Err() == nil && len(o.waiting) > o.rng.IntN(pipelined) {
			if err := o.answer(ctx); err != nil {
				return err
			}
		}
	}
	// What is on its way is answered, also when the process is to end.
	for len(o.waiting) > 0 {
		if err := o.answer(context.WithoutCancel(ctx)); err != nil {
			return err
		}
	}
	return nil
}

// step submits one command.
func (o *oneWriter) step(ctx context.Context) error {
	own := ownStream(o.i)
	upper := o.ownUpper()
	switch p := o.rng.IntN(100); {
	case p < 40:
		rows := o.rows(own, upper, 5)
		return o.submit(&command{Writes: []write{{own, rows}}}, func() *persist.Future[storage.SeqNo] {
			return o.own[o.i].Write(ctx, updatesOf(rows))
		})
	case p < 60:
		return o.both(ctx, upper)
	case p < 70:
		next := upper + 1 + o.rng.Uint64N(4)
		rows := o.rows(own, upper, next-upper)
		o.sealOwn(next)
		c := &command{Writes: []write{{own, rows}}, Seals: map[string]uint64{own: next}}
		return o.submit(c, func() *persist.Future[storage.SeqNo] {
			return o.own[o.i].CompareAndAppend(ctx, updatesOf(rows), frontier.At(upper), frontier.At(next))
		})
	case p < 80:
		return o.compete(ctx, upper)
	case p < 87:
		next := upper + 1 + o.rng.Uint64N(3)
		o.sealOwn(next)
		return o.submit(&command{Seals: map[string]uint64{own: next}}, func() *persist.Future[storage.SeqNo] {
			return o.own[o.i].Seal(ctx, next)
		})
	case p < 95:
		return o.compact(ctx, upper)
	default:
		return o.sealShared(ctx)
	}
}

// ownUpper and sealOwn use an element of uppers that belongs to this writer.
func (o *oneWriter) ownUpper() uint64 {
	o.floor.RLock()
	defer o.floor.RUnlock()
	return o.uppers[ownStream(o.i)]
}

func (o *oneWriter) sealOwn(t uint64) {
	o.floor.Lock()
	defer o.floor.Unlock()
	o.uppers[ownStream(o.i)] = t
}

// both writes to the own stream and the shared one, atomically, and may seal.
func (o *oneWriter) both(ctx context.Context, upper uint64) error {
	own := ownStream(o.i)
	o.floor.RLock()
	mine, theirs := o.rows(own, upper, 5), o.rows("shared", o.floor.upper, 5)
	c := &command{Writes: []write{{own, mine}, {"shared", theirs}}}
	seal := o.rng.IntN(2) == 0
	if seal {
		c.Seals = map[string]uint64{own: upper + 1}
	}
	err := o.submit(c, func() *persist.Future[storage.SeqNo] {
		return o.multi.WriteAtomic(ctx, func(b *persist.AtomicWrite) error {
			err := errors.Join(persist.AddWrite(b, o.own[o.i], updatesOf(mine)), persist.AddWrite(b, o.shared, updatesOf(theirs)))
			if seal {
				err = errors.Join(err, persist.AddSeal(b, o.own[o.i], upper+1))
			}
			return err
		})
	})
	o.floor.RUnlock()
	if seal {
		o.sealOwn(upper + 1)
	}
	return err
}

// compete tries to be the one that moves the stream "race" on.
func (o *oneWriter) compete(ctx context.Context, upper uint64) error {
	o.floor.RLock()
	at := o.uppers["race"]
	o.floor.RUnlock()
	own := ownStream(o.i)
	mine, theirs := o.rows(own, upper, 5), o.rows("race", at, 1)
	c := &command{Races: true, Expects: at, Writes: []write{{own, mine}, {"race", theirs}}, Seals: map[string]uint64{"race": at + 1}}
	return o.submit(c, func() *persist.Future[storage.SeqNo] {
		return o.multi.WriteAtomic(ctx, func(b *persist.AtomicWrite) error {
			return errors.Join(persist.AddWrite(b, o.own[o.i], updatesOf(mine)),
				persist.AddCompareAndAppend(b, o.race, updatesOf(theirs), frontier.At(at), frontier.At(at+1)))
		})
	})
}

// compact lets go of the times that are some way behind the upper.
func (o *oneWriter) compact(ctx context.Context, upper uint64) error {
	own := ownStream(o.i)
	since := upper - min(upper, 1+o.rng.Uint64N(6))
	o.floor.Lock()
	defer o.floor.Unlock()
	if since <= o.sinces[own] {
		return nil
	}
	o.sinces[own] = since
	return o.submit(&command{Sinces: map[string]uint64{own: since}}, func() *persist.Future[storage.SeqNo] {
		return o.own[o.i].AllowCompaction(ctx, frontier.At(since))
	})
}

// sealShared moves the frontiers of the shared stream and of the race.
func (o *oneWriter) sealShared(ctx context.Context) error {
	o.floor.Lock()
	defer o.floor.Unlock()
	o.floor.upper += 1 + o.rng.Uint64N(3)
	next := o.floor.upper
	if err := o.submit(&command{Seals: map[string]uint64{"shared": next}}, func() *persist.Future[storage.SeqNo] {
		return o.shared.Seal(ctx, next)
	}); err != nil {
		return err
	}
	for _, s := range []struct {
		stream *textWriter
		since  uint64
	}{{o.shared, next - min(next, 4)}, {o.race, o.uppers["race"] - min(o.uppers["race"], 3)}} {
		name := s.stream.StreamName()
		if s.since <= o.sinces[name] {
			continue
		}
		o.sinces[name] = s.since
		if err := o.submit(&command{Sinces: map[string]uint64{name: s.since}}, func() *persist.Future[storage.SeqNo] {
			return s.stream.AllowCompaction(ctx, frontier.At(s.since))
		}); err != nil {
			return err
		}
	}
	return nil
}

// rows makes up what a command writes to a stream at times in [from, from+within):
// new rows, the first with the name of the command, and old ones taken back.
func (o *oneWriter) rows(stream string, from, within uint64) []row {
	size := func() int {
		if o.rng.IntN(20) == 0 {
			return 2000 + o.rng.IntN(8000)
		}
		return o.rng.IntN(200)
	}
	var rows []row
	for k := range 1 + o.rng.IntN(3) {
		rows = append(rows, row{
			Key: fmt.Sprintf("%d.%d.%d.%d", o.role.Incarnation, o.i, o.n, k), Size: size(),
			Time: from + o.rng.Uint64N(within), Diff: 1 + o.rng.Int64N(3),
		})
	}
	for old := o.live[o.i][stream]; len(old) > 5 && len(rows) < 6; old = o.live[o.i][stream] {
		back := old[0]
		back.Time, back.Diff = from+o.rng.Uint64N(within), -back.Diff
		rows, o.live[o.i][stream] = append(rows, back), old[1:]
	}
	return rows
}

func (o *oneWriter) submit(c *command, ask func() *persist.Future[storage.SeqNo]) error {
	c.ID = fmt.Sprintf("%d.%d.%d", o.role.Incarnation, o.i, o.n)
	o.n++
	o.say(said{What: "submit", Command: c})
	f := ask()
	o.say(said{What: "returned", ID: c.ID})
	o.waiting = append(o.waiting, asked{c, f})
	return nil
}

// answer waits for the oldest answer and passes it on.
func (o *oneWriter) answer(ctx context.Context) error {
	a := o.waiting[0]
	seqno, err := a.ans.Wait(ctx)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil // it is asked again when the process ends
	}
	o.waiting = o.waiting[1:]
	var mismatch *persist.UpperMismatchError
	switch {
	case err == nil:
		o.say(said{What: "acked", ID: a.c.ID, SeqNo: seqno})
		for _, w := range a.c.Writes {
			for _, r := range w.Rows {
				if r.Diff > 0 {
					o.live[o.i][w.Stream] = append(o.live[o.i][w.Stream], r)
				}
			}
		}
	case a.c.Races && errors.As(err, &mismatch):
		o.say(said{What: "refused", ID: a.c.ID, Text: err.Error()})
		o.takeAgain(a.c)
	case errors.Is(err, context.Canceled):
		o.say(said{What: "cancelled", ID: a.c.ID})
	default:
		return fmt.Errorf("command %s: %w", a.c.ID, err)
	}
	if a.c.Races {
		o.floor.Lock()
		defer o.floor.Unlock()
		at := a.c.Expects + 1
		if mismatch != nil {
			at, _ = mismatch.Upper.Elem()
		}
		o.uppers["race"] = max(o.uppers["race"], at)
	}
	return nil
}

// takeAgain keeps for later what a refused command was to take back.
func (o *oneWriter) takeAgain(c *command) {
	for _, w := range c.Writes {
		for _, r := range w.Rows {
			if r.Diff < 0 {
				r.Diff = -r.Diff
				o.live[o.i][w.Stream] = append(o.live[o.i][w.Stream], r)
			}
		}
	}
}
