package main

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"sync"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

const (
	streamName = "records"
	// sealEvery is how many batches are sealed together.
	sealEvery = 10
)

// tidemark keeps records as updates of one stream. Single records are written at the upper,
// and nothing is sealed. Each batch has a time of its own. The times of ten consecutive
// batches are sealed when all ten are durable.
type tidemark[K, V any] struct {
	client *persist.Client
	write  *persist.WriteHandle[K, V]
	read   *persist.ReadHandle[K, V]
	form[K, V]

	base uint64 // the upper when it was opened

	mu    sync.Mutex
	next  uint64              // time of the next batch
	done  map[uint64]struct{} // durable, and in advance of complete
	until uint64              // batches before this time are durable
	seal  uint64              // sealed to, or on its way
}

// form is how records are given to a stream, and taken from it.
type form[K, V any] struct {
	keys persist.Codec[K]
	vals persist.Codec[V]
	give func(r *record) (K, V)
	// take returns the record that visitors get. r is room for it.
	take func(key K, val V, r *record) (k, v []byte)
}

var asBytes = form[[]byte, []byte]{
	keys: codec.Bytes, vals: codec.Bytes,
	give: func(r *record) (k, v []byte) { return r.key[:], r.val[:] },
	take: func(k, v []byte, _ *record) ([]byte, []byte) { return k, v },
}

// asTyped has a number as the key, from the first half of the record's key, and a string as
// the value.
var asTyped = form[uint64, string]{
	keys: codec.Uint64, vals: codec.String,
	give: func(r *record) (uint64, string) { return binary.LittleEndian.Uint64(r.key[:]), string(r.val[:]) },
	take: func(k uint64, v string, r *record) ([]byte, []byte) {
		binary.LittleEndian.PutUint64(r.key[:], k)
		return r.key[:], r.val[:copy(r.val[:], v)]
	},
}

func openTidemark(dir string) (store, error) { return openForm(dir, persist.Config{}, asBytes) }
func openTyped(dir string) (store, error)    { return openForm(dir, persist.Config{}, asTyped) }

// openStored reads rows as they are stored. Each row is valid until the next one.
func openStored(dir string) (store, error) {
	t, err := openForm(dir, persist.Config{}, asBytes)
	if err != nil {
		return nil, err
	}
	return &stored{t}, nil
}

type stored struct{ *tidemark[[]byte, []byte] }

func (s *stored) scan(visit func(key, val []byte)) error {
	ctx := context.Background()
	snap, err := s.read.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = snap.Close() }()
	for r, err := range snap.Raw(ctx) {
		if err != nil {
			return err
		}
		visit(r.Key, r.Val)
	}
	return nil
}

func openForm[K, V any](dir string, cfg persist.Config, f form[K, V]) (*tidemark[K, V], error) {
	ctx := context.Background()
	client, err := file.Open(ctx, dir, cfg)
	if err != nil {
		return nil, err
	}
	t := &tidemark[K, V]{client: client, form: f, done: make(map[uint64]struct{})}
	t.write, t.read, err = persist.CreateOrLoad(ctx, client, streamName, f.keys, f.vals)
	if err == nil {
		var at frontier.Description
		if at, err = t.write.Description(ctx); err == nil {
			t.base, _ = at.Upper.Elem()
			t.next, t.until, t.seal = t.base, t.base, t.base
		}
	}
	if err != nil {
		return nil, errors.Join(err, client.Stop())
	}
	return t, nil
}

func (t *tidemark[K, V]) update(r *record, time uint64) persist.Update[K, V] {
	key, val := t.give(r)
	return persist.Update[K, V]{Key: key, Val: val, Time: time, Diff: 1}
}

func (t *tidemark[K, V]) send(r *record) *persist.Future[storage.SeqNo] {
	return t.write.Write(context.Background(), []persist.Update[K, V]{t.update(r, t.base)})
}

func (t *tidemark[K, V]) put(r *record) error {
	_, err := t.send(r).Wait(context.Background())
	return err
}

func (t *tidemark[K, V]) putAsync(r *record) (func() error, error) {
	f := t.send(r)
	return func() error {
		_, err := f.Wait(context.Background())
		return err
	}, nil
}

func (t *tidemark[K, V]) putAll(rs []record) error {
	ctx := context.Background()
	t.mu.Lock()
	at := t.next
	t.next++
	t.mu.Unlock()
	updates := make([]persist.Update[K, V], len(rs))
	for i := range rs {
		updates[i] = t.update(&rs[i], at)
	}
	if _, err := t.write.Write(ctx, updates).Wait(ctx); err != nil {
		return err
	}
	if sealed := t.durable(at); sealed != nil {
		_, err := sealed.Wait(ctx)
		return err
	}
	return nil
}

// durable notes a durable batch, and seals if there is enough to seal. The lock decides the
// order of the seals.
func (t *tidemark[K, V]) durable(at uint64) *persist.Future[storage.SeqNo] {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done[at] = struct{}{}
	for {
		if _, ok := t.done[t.until]; !ok {
			break
		}
		delete(t.done, t.until)
		t.until++
	}
	if t.until < t.seal+sealEvery {
		return nil
	}
	t.seal = t.until
	return t.write.Seal(context.Background(), t.seal)
}

func (t *tidemark[K, V]) scan(visit func(key, val []byte)) error {
	ctx := context.Background()
	s, err := t.read.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	var room record
	for u, err := range s.All(ctx) {
		if err != nil {
			return err
		}
		visit(t.take(u.Key, u.Val, &room))
	}
	return nil
}

func (t *tidemark[K, V]) listen(receive func(val []byte)) (func(), error) {
	ctx, cancel := context.WithCancel(context.Background())
	s, l, err := t.read.Listen(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	_ = s.Close()
	var ended sync.WaitGroup
	ended.Go(func() {
		var room record
		for {
			e, err := l.Next(ctx)
			if err != nil {
				if !errors.Is(err, context.Canceled) && !errors.Is(err, io.EOF) {
					panic(err)
				}
				return
			}
			for i := range e.Updates {
				_, val := t.take(e.Updates[i].Key, e.Updates[i].Val, &room)
				receive(val)
			}
		}
	})
	return func() {
		cancel()
		ended.Wait()
		_ = l.Close()
	}, nil
}

func (t *tidemark[K, V]) settle() error {
	return t.client.Maintain(context.Background())
}

func (t *tidemark[K, V]) close() error { return t.client.Stop() }
