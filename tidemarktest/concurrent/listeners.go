package concurrent

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"

	"github.com/tidemark-go/tidemark/persist"
)

// listen is a listener that comes and goes: again and again it takes a snapshot and a tail,
// until the stream has come to its end. Every other listener is at a follower.
func (r *run) listen(ctx context.Context, i int) {
	rng := r.rng("listener", i)
	var f *follower
	if n := len(r.followers); n > 0 && i%2 == 1 {
		f = r.followers[i/2%n]
	}
	stream := i % r.Streams
	if n := len(r.followers); n > 0 {
		stream = i / 2 % r.Streams
	}
	for ctx.Err() == nil {
		t, err := r.attend(ctx, rng, f, r.Writers+i, stream)
		if err != nil {
			r.failed("listen", err)
			sleep(ctx, upTo(rng, r.Pause)/4)
			continue
		}
		r.addTail(t)
		if errors.Is(t.Ended, io.EOF) {
			return
		}
	}
}

// attend takes a snapshot and its tail, until the reader has enough or the listener ends.
func (r *run) attend(ctx context.Context, rng *rand.Rand, f *follower, id, stream int) (Tail, error) {
	src, err := r.source(ctx, f, stream)
	if err != nil {
		return Tail{}, err
	}
	t := Tail{Start: Read{Stream: r.streams[stream], Reader: f.named(id), Client: id, Follower: f != nil, Call: r.tick()}}
	s, l, err := src.Listen(ctx)
	t.Start.Return = r.tick()
	if err != nil {
		if errors.Is(err, persist.ErrStopped) || errors.Is(err, persist.ErrClosed) {
			src.lost(ctx)
		}
		return Tail{}, err
	}
	defer func() { _, _ = s.Close(), l.Close() }()
	late := rng.IntN(4) == 0 // reads the snapshot after it has heard the tail
	if !late {
		if err := t.Start.take(ctx, rng, s); err != nil {
			return Tail{}, err
		}
	}
	r.hear(ctx, rng, l, &t)
	if late {
		err = t.Start.take(context.WithoutCancel(ctx), rng, s)
		if err != nil {
			return Tail{}, err
		}
	} else if again, err := contents(ctx, rng, s); err == nil {
		t.Start.Reread, t.Start.Again = true, again
	} else {
		r.failed("read a snapshot again", err)
	}
	if errors.Is(t.Ended, persist.ErrStopped) {
		src.lost(ctx)
	}
	return t, nil
}

// hear reads a tail.
func (r *run) hear(ctx context.Context, rng *rand.Rand, l *listener, t *Tail) {
	for {
		asked := r.tick()
		e, err := l.Next(ctx)
		heard := r.tick()
		switch {
		case err == nil:
			t.Events = append(t.Events, Event{SeqNo: e.SeqNo, Updates: e.Updates, Sealed: e.Sealed, Asked: asked, Heard: heard})
		case ctx.Err() != nil:
			t.Ended, t.Asked = context.Cause(ctx), asked
			return
		case ends(err):
			t.Ended, t.Asked = err, asked
			return
		default:
			r.failed("listener", err)
			sleep(ctx, upTo(rng, r.Pause)/4)
		}
		if r.isFinished() {
			continue // do not pause any more: hear the rest
		}
		switch n := rng.IntN(100); {
		case n < 2:
			return
		case n < 6:
			sleep(ctx, upTo(rng, r.Pause))
		case n < 7:
			r.sleepLong(ctx)
		}
	}
}

// ends reports whether an error is the end of a listener.
func ends(err error) bool {
	for _, end := range []error{io.EOF, persist.ErrStopped, persist.ErrDestroyed, persist.ErrLagged, persist.ErrClosed} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}

func (r *run) isFinished() bool {
	select {
	case <-r.finished:
		return true
	default:
		return false
	}
}

// sleepLong sleeps while a tenth of the operations happen. That is more than a window
// holds, if the store makes its window small.
func (r *run) sleepLong(ctx context.Context) {
	until := r.issued.Load() + int64(r.Operations)/10
	for r.issued.Load() < until && !r.isFinished() && ctx.Err() == nil {
		sleep(ctx, r.Pause/4)
	}
}
