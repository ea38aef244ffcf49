package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/pb"
)

type badgerStore struct{ db *badger.DB }

func openBadger(dir string) (store, error) {
	db, err := badger.Open(badger.DefaultOptions(dir).
		WithSyncWrites(true).WithBlockCacheSize(cacheSize).WithLogger(quiet{}))
	if err != nil {
		return nil, err
	}
	return &badgerStore{db}, nil
}

// put hands over a copy: Badger gives the writer's slices to subscribers, and later.
func (b *badgerStore) put(r *record) error {
	own := *r
	return b.db.Update(func(txn *badger.Txn) error { return txn.Set(own.key[:], own.val[:]) })
}

func (b *badgerStore) putAll(rs []record) error {
	w := b.db.NewWriteBatch()
	defer w.Cancel()
	for i := range rs {
		if err := w.Set(rs[i].key[:], rs[i].val[:]); err != nil {
			return err
		}
	}
	return w.Flush()
}

func (b *badgerStore) scan(visit func(key, val []byte)) error {
	return b.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.DefaultIteratorOptions)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			item := it.Item()
			if err := item.Value(func(val []byte) error {
				visit(item.Key(), val)
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	})
}

// listen subscribes to all keys. Badger does not say when a subscription has begun. So
// records are written until the subscription delivers one.
func (b *badgerStore) listen(receive func(val []byte)) (func(), error) {
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	var begun sync.Once
	ready := make(chan struct{})
	failed := make(chan error, 1)
	ended.Go(func() {
		err := b.db.Subscribe(ctx, func(kvs *badger.KVList) error {
			begun.Do(func() { close(ready) })
			for _, kv := range kvs.Kv {
				if len(kv.Value) == valSize { // neither Badger's own marks nor ours
					receive(kv.Value)
				}
			}
			return nil
		}, []pb.Match{{Prefix: nil}})
		if err != nil && !errors.Is(err, context.Canceled) {
			failed <- err
		}
	})
	stop := func() {
		cancel()
		ended.Wait()
	}
	for {
		if err := b.db.Update(func(txn *badger.Txn) error { return txn.Set([]byte("begun?"), nil) }); err != nil {
			stop()
			return nil, err
		}
		select {
		case <-ready:
			return stop, nil
		case err := <-failed:
			stop()
			return nil, err
		case <-time.After(time.Millisecond):
		}
	}
}

// settle waits until no level is being compacted any more.
func (b *badgerStore) settle() error {
	var before []badger.LevelInfo
	quiet := 0
	return poll(func() bool {
		now := b.db.Levels()
		same := len(now) == len(before)
		for i := range now {
			same = same && now[i].NumTables == before[i].NumTables && now[i].Size == before[i].Size
		}
		before = now
		if !same {
			quiet = 0
			return false
		}
		quiet++
		return quiet > 20
	})
}

func (b *badgerStore) close() error { return b.db.Close() }
