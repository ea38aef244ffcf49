package operators

import (
	"context"
	"fmt"
	"reflect"
	"sync"

	"github.com/tidemark-go/tidemark/internal/brief"
	"github.com/tidemark-go/tidemark/operators/internal/edge"
	"github.com/tidemark-go/tidemark/persist"
)

// FlatMap turns every (key, value) of every batch into any number of others, with the time
// and the diff of their update. A map emits one, a filter one or none. FlatMap works on up
// to parallelism batches at once (at least 1), and passes them on in the order in which
// they came. Its memory depends on the batches under way, not on parallelism. So
// parallelism may be any number: with the largest, FlatMap starts on each batch as it
// comes.
//
// Several goroutines may call f at once. The context of f ends when the flow ends. f must
// give the same answer for the same key and value: otherwise retractions do not cancel what
// they retract. An error or a panic of f ends the flow: see BatchFlow. The flow's error
// names the update and its key.
func FlatMap[K, V, K2, V2 any](ctx context.Context, parallelism int, f func(ctx context.Context, key K, val V, emit func(K2, V2)) error) *BatchFlow {
	return MapBatches(ctx, parallelism, func(ctx context.Context, b Batch[K, V]) (out []persist.Update[K2, V2], err error) {
		i := 0
		failed := func(err error) error {
			u := &b.Updates[i]
			return fmt.Errorf("update %d, of key %s at time %d: %w", i, brief.Value(u.Key), u.Time, err)
		}
		defer func() {
			if r := recover(); r != nil {
				out, err = nil, failed(edge.PanicError(r))
			}
		}()
		out = make([]persist.Update[K2, V2], 0, len(b.Updates))
		for ; i < len(b.Updates); i++ {
			u := &b.Updates[i]
			emit := func(key K2, val V2) {
				out = append(out, persist.Update[K2, V2]{Key: key, Val: val, Time: u.Time, Diff: u.Diff})
			}
			if err := f(ctx, u.Key, u.Val, emit); err != nil {
				return nil, failed(err)
			}
		}
		return out, nil
	})
}

// MapBatches turns the updates of every batch into others. The batch keeps its description,
// so the times of the new updates must lie in it. f must not change the batch that it is
// given, since other operators may share it. In all else MapBatches is as FlatMap.
func MapBatches[K, V, K2, V2 any](ctx context.Context, parallelism int, f func(ctx context.Context, b Batch[K, V]) ([]persist.Update[K2, V2], error)) *BatchFlow {
	m := &mapper[K, V, K2, V2]{apply: f, slots: make(chan struct{}, max(parallelism, 1))}
	return newBatchFlow(ctx, "MapBatches", m.run)
}

// mapper starts a goroutine for every batch, at most as many at once as there are slots.
// One more goroutine, emit, passes the results on in the order of the input. A slot is free
// again when its batch was passed on.
type mapper[K, V, K2, V2 any] struct {
	apply func(context.Context, Batch[K, V]) ([]persist.Update[K2, V2], error)
	slots chan struct{}
}

// mapped is the result of one batch. It is written before done is closed.
type mapped[K, V any] struct {
	done  chan struct{}
	batch Batch[K, V]
	err   error
	next  chan *mapped[K, V] // the job after this one, or closed; has room for one
}

// run takes batches until the input or the flow ends. It returns when all goroutines have
// ended.
func (m *mapper[K, V, K2, V2]) run(f *BatchFlow) {
	// Each job has a place for the next job. A queue would need room for as many jobs as
	// there are slots, even if few slots are ever used.
	//museum:memory-by-argument
	next := make(chan *mapped[K2, V2], 1)
	first := next
	var emitting sync.WaitGroup
	emitting.Go(func() { m.emit(f, first) })
	defer emitting.Wait()
	defer func() { close(next) }()
	for {
		select {
		case m.slots <- struct{}{}:
		case <-f.ctx.Done():
			return
		}
		element, ok := f.receive()
		if !ok {
			return
		}
		b, skip, err := batchOf[K, V](element)
		if skip {
			<-m.slots
			continue
		}
		job := &mapped[K2, V2]{done: make(chan struct{}), err: err, next: make(chan *mapped[K2, V2], 1)}
		job.batch.Description = b.Description
		next <- job
		next = job.next
		if err != nil {
			close(job.done)
			return
		}
		go func() {
			defer close(job.done)
			//museum:ended-goroutine
			job.err = errExited // unless the call returns
			job.batch.Updates, job.err = m.call(f.ctx, b)
		}()
	}
}

func (m *mapper[K, V, K2, V2]) emit(f *BatchFlow, next <-chan *mapped[K2, V2]) {
	for {
		job, ok := <-next
		if !ok {
			return
		}
		next = job.next
		<-job.done
		switch {
		case f.ctx.Err() != nil:
		case job.err != nil:
			f.fail(fmt.Errorf("tidemark: batch [%s, %s): %w", job.batch.Lower, job.batch.Upper, job.err), job.batch.Lower)
		case !f.out.Send(job.batch):
			f.cancel()
		}
		<-m.slots
	}
}

// call runs the user's function. A panic becomes an error with the stack.
func (m *mapper[K, V, K2, V2]) call(ctx context.Context, b Batch[K, V]) (updates []persist.Update[K2, V2], err error) {
	defer func() {
		if r := recover(); r != nil {
			err = edge.PanicError(r)
		}
	}()
	updates, err = m.apply(ctx, b)
	if err != nil {
		return nil, err
	}
	for i := range updates {
		if t := updates[i].Time; !b.Contains(t) {
			return nil, fmt.Errorf("update %d has time %d: keep times in the interval of the batch", i, t)
		}
	}
	return updates, nil
}

// errExited: the user's function has ended its goroutine (runtime.Goexit, which
// testing.T.FailNow calls). So there is no batch, not even an empty one.
var errExited = fmt.Errorf("%w: the function ended its goroutine instead of returning", edge.ErrPanic)

func typeName[T any]() string { return reflect.TypeFor[T]().String() }
