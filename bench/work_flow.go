package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	ext "github.com/reugn/go-streams/extension"
	"github.com/reugn/go-streams/flow"

	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/sink"
	"github.com/tidemark-go/tidemark/operators/source"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

type element = operators.Result[[]byte, []byte]

// runFlow measures how many elements reach the end of a flow of one Map. They come from a
// source that reads a stream, or from go-streams' own channel source.
func runFlow(j job) (_ result, err error) {
	passed := uint64(0)
	count := flow.NewMap(func(e any) any {
		passed++
		return e
	}, 1)
	r := result{}
	finish := func(m meter) (result, error) {
		if passed != j.Records {
			return nil, fmt.Errorf("%d elements reached the end, of %d", passed, j.Records)
		}
		return r, m.stop(r, passed)
	}
	if j.System == "go-streams" {
		rs := records(0, 1024)
		m, err := startMeter(j.Dir)
		if err != nil {
			return nil, err
		}
		in := make(chan any)
		go func() {
			defer close(in)
			for i := range j.Records {
				rec := &rs[i%uint64(len(rs))]
				var e element
				e.Key, e.Val, e.Time, e.Diff = rec.key[:], rec.val[:], i, 1
				in <- e
			}
		}()
		ext.NewChanSource(in).Via(count).To(ext.NewIgnoreSink())
		return finish(m)
	}
	t, err := openForm(j.Dir, persist.Config{}, asBytes)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	m, err := startMeter(j.Dir)
	if err != nil {
		return nil, err
	}
	src := source.New(context.Background(), t.read)
	src.Via(count).To(ext.NewIgnoreSink())
	if err := src.Err(); err != nil {
		return nil, err
	}
	return finish(m)
}

// runPipeline measures a pipeline in batch mode, durable and exactly once. The pipeline
// reads a stream, maps each value, two batches at a time, and writes another stream.
func runPipeline(j job) (_ result, err error) {
	ctx := context.Background()
	t, err := openForm(j.Dir, persist.Config{}, asBytes)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	name := fmt.Sprintf("mapped-%d", time.Now().UnixNano())
	write, read, err := persist.CreateOrLoad(ctx, t.client, name, codec.Bytes, codec.Bytes)
	if err != nil {
		return nil, err
	}
	m, err := startMeter(j.Dir)
	if err != nil {
		return nil, err
	}
	src := source.NewBatches(ctx, t.read)
	out := sink.New(ctx, write)
	src.Via(operators.FlatMap(ctx, 2, func(_ context.Context, key, val []byte, emit func(k, v []byte)) error {
		mapped := make([]byte, len(val))
		for i, c := range val {
			mapped[len(val)-1-i] = c
		}
		emit(key, mapped)
		return nil
	})).To(out)
	if err := errors.Join(src.Err(), out.Err()); err != nil {
		return nil, err
	}
	r := result{}
	if err := m.stop(r, j.Records); err != nil {
		return nil, err
	}
	s, err := read.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	if upper := s.Upper(); !upper.IsEmpty() {
		return nil, fmt.Errorf("the mapped stream is sealed to %s only", upper)
	}
	n := uint64(0)
	for u, err := range s.All(ctx) {
		if err != nil {
			return nil, err
		}
		n += uint64(u.Diff)
	}
	if n != j.Records {
		return nil, fmt.Errorf("%d updates were mapped, of %d", n, j.Records)
	}
	return r, nil
}

// runFinished loads a stream and finishes it, so that its readers come to an end.
func runFinished(j job) (_ result, err error) {
	t, err := openForm(j.Dir, persist.Config{}, asBytes)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	if err := load(t, 0, j.Records); err != nil {
		return nil, err
	}
	if _, err := t.write.Finish(context.Background()).Wait(context.Background()); err != nil {
		return nil, err
	}
	return result{}, t.settle()
}
