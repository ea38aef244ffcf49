package tidemarktest

import (
	"context"
	"errors"

	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

// do makes a request, and returns the result that will have its answer.
func (h *history) do(r request) result {
	switch r.kind {
	case Write, Append, Seal, Finish, Allow, Atomic:
		return h.mutate(r)
	case Create:
		h.forget(r.stream)
		return h.create(r.stream)
	case Destroy:
		c := &call{kind: Destroy, name: r.stream}
		client := h.life.client
		return h.call(c, func() { c.existed, c.err = client.Destroy(h.ctx, r.stream) })
	case Describe:
		d := &description{name: r.stream}
		h.describe = append(h.describe, d)
		client := h.life.client
		h.ask(&d.answer, func() { d.got, d.err = client.Description(h.ctx, r.stream) })
		return d
	case Snapshot:
		return h.snapshot(r.stream)
	case Listen:
		return h.listen(r.stream)
	case FromReader, ListenReader:
		return h.fromReader(r)
	case Read:
		return h.read(r)
	case Maintain:
		return h.maintain()
	case Start:
		return h.start()
	case OpenReader:
		return h.openReader()
	default:
		return h.control(r)
	}
}

// call begins a mutation that blocks until it has its answer.
func (h *history) call(c *call, do func()) *call {
	h.begun.Add(1)
	h.ask(&c.answer, do)
	h.calls = append(h.calls, c)
	if !h.virtual { // the next call must come after this one
		h.await(c.request, c.done, string(c.kind))
	}
	return c
}

func (h *history) forget(name string) {
	if s := h.life.streams[name]; s != nil && h.isReady(s) {
		delete(h.life.streams, name)
	}
}

func (h *history) isReady(s *handles) bool {
	select {
	case <-s.ready:
		return true
	default:
		return false
	}
}

func (h *history) create(name string) *call {
	s := &handles{}
	c := &call{kind: Create, name: name}
	client := h.life.client
	h.call(c, func() {
		s.write, s.read, s.err = persist.CreateOrLoad(h.ctx, client, name, codec.String, codec.String)
		c.err = s.err
	})
	s.ready = c.done
	h.life.streams[name] = s
	return c
}

// handle returns the handles of a stream. If there are none, or the last creation failed,
// it creates them, as users do. It returns nil if the answer cannot be awaited.
func (h *history) handle(name string) *handles {
	s := h.life.streams[name]
	if s != nil && h.isReady(s) && s.err != nil && !errors.Is(s.err, persist.ErrDestroyed) {
		s = nil
	}
	if s == nil {
		h.create(name)
		s = h.life.streams[name]
	}
	if !h.isReady(s) && (h.release != nil || !h.await(h.now, s.ready, "create "+name)) {
		return nil
	}
	return s
}

// mutate begins a command.
func (h *history) mutate(r request) result {
	streams := make(map[string]*handles)
	for _, ch := range r.command {
		if streams[ch.Stream] = h.handle(ch.Stream); streams[ch.Stream] == nil {
			return skipped{}
		}
	}
	c := &call{kind: r.kind, command: r.command}
	for _, s := range streams {
		if s.err != nil {
			c.carried = append(c.carried, s.err)
		}
	}
	h.begun.Add(1)
	var err error
	if c.future, err = submit(h.ctx, r, streams); err != nil {
		h.violate(r.n, "streams of one runtime cannot be written to together: %v", err)
		return skipped{}
	}
	h.begin(&c.answer, c.future.Done())
	h.calls = append(h.calls, c)
	return c
}

func submit(ctx context.Context, r request, streams map[string]*handles) (*persist.Future[storage.SeqNo], error) {
	if r.kind != Atomic {
		ch := r.command[0]
		w := streams[ch.Stream].write
		switch r.kind {
		case Write:
			return w.Write(ctx, ch.Updates), nil
		case Append:
			return w.CompareAndAppend(ctx, ch.Updates, *ch.Expect, *ch.Seal), nil
		case Allow:
			return w.AllowCompaction(ctx, *ch.Allow), nil
		}
		if t, ok := ch.Seal.Elem(); ok {
			return w.Seal(ctx, t), nil
		}
		return w.Finish(ctx), nil
	}
	var members []persist.Stream
	for _, ch := range r.command {
		members = append(members, streams[ch.Stream].write)
	}
	multi, err := persist.NewMultiWriteHandle(members...)
	if err != nil {
		return nil, err
	}
	return multi.WriteAtomic(ctx, func(b *persist.AtomicWrite) (err error) {
		for _, ch := range r.command {
			w := streams[ch.Stream].write
			switch {
			case ch.Expect != nil:
				err = errors.Join(err, persist.AddCompareAndAppend(b, w, ch.Updates, *ch.Expect, *ch.Seal))
			case ch.Allow != nil:
				err = errors.Join(err, persist.AddAllowCompaction(b, w, *ch.Allow))
			case ch.Seal != nil:
				t, _ := ch.Seal.Elem()
				err = errors.Join(err, persist.AddSeal(b, w, t))
			default:
				err = errors.Join(err, persist.AddWrite(b, w, ch.Updates))
			}
		}
		return err
	}), nil
}

func (h *history) snapshot(name string) result {
	s := h.handle(name)
	if s == nil {
		return skipped{}
	}
	t := &taking{name: name}
	h.ask(&t.answer, func() { t.set(s.read.Snapshot(h.ctx)) })
	h.takings, h.all = append(h.takings, t), append(h.all, t)
	return t
}

func (h *history) listen(name string) result {
	s := h.handle(name)
	if s == nil {
		return skipped{}
	}
	l := newListening()
	l.name = name
	return h.beginListening(l, func() (*persist.ReadHandle[string, string], error) { return s.read, nil })
}

func (h *history) beginListening(l *listening, handle func() (*persist.ReadHandle[string, string], error)) result {
	l.down = h.down
	h.ask(&l.answer, func() {
		read, err := handle()
		if err != nil {
			l.err = err
			close(l.ended)
			return
		}
		s, listener, err := read.Listen(h.ctx)
		l.set(s, err)
		if err != nil {
			close(l.ended)
			return
		}
		l.listener = listener
		go l.pump(h.ctx) // ends with the listener; the history closes the listener
	})
	h.all = append(h.all, &l.taking)
	h.hearing, h.heard = append(h.hearing, l), append(h.heard, l)
	return l
}

func (h *history) fromReader(r request) result {
	if len(h.readers) == 0 {
		return skipped{}
	}
	re := h.readers[r.pick%len(h.readers)]
	load := func() (*persist.ReadHandle[string, string], error) {
		return persist.Load(h.ctx, re.client, r.stream, codec.String, codec.String)
	}
	if r.kind == ListenReader {
		l := newListening()
		l.name, l.reader = r.stream, re
		return h.beginListening(l, load)
	}
	t := &taking{name: r.stream}
	t.reader = re
	h.ask(&t.answer, func() {
		read, err := load()
		if err != nil {
			t.err = err
			return
		}
		t.set(read.Snapshot(h.ctx))
	})
	h.takings, h.all = append(h.takings, t), append(h.all, t)
	return t
}

// read reads a snapshot, beside the requests that come next.
func (h *history) read(r request) result {
	t := pickOpen(h.takings, r.pick, func(t *taking) bool { return t.settled() && t.err == nil && !t.closed })
	if t == nil {
		return skipped{}
	}
	since, _ := t.since.Elem()
	rd := &reading{of: t, way: r.way, keys: r.keys, lower: max(later(since, r.lower), 1) - 1}
	rd.upper = later(rd.lower, r.width)
	rd.reader = t.reader
	t.open.Add(1)
	h.ask(&rd.answer, func() {
		defer t.open.Done()
		rd.read(h.ctx)
	})
	rd.life = t.life
	h.readings = append(h.readings, rd)
	return rd
}

// pickOpen picks one of those for which good returns true, or returns nil.
func pickOpen[T any](from []*T, pick int, good func(*T) bool) *T {
	var open []*T
	for _, t := range from {
		if good(t) {
			open = append(open, t)
		}
	}
	if len(open) == 0 {
		return nil
	}
	return open[pick%len(open)]
}

func (h *history) openReader() result {
	o := &opening{}
	client, err := h.store.OpenRead(h.ctx, h.opts.Config)
	if o.err = err; err == nil {
		re := &reader{client: client}
		h.readers = append(h.readers, re)
	} else if !h.down || !errors.Is(err, mem.ErrUnavailable) {
		h.violate(h.now, "a reader cannot be opened: %v", err)
	}
	return o
}
