package main

import (
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
)

// cacheSize is how much of what it has read every system may keep.
const cacheSize = 64 << 20

// pebbleFilter has ten bits for each key.
const pebbleFilter = bloom.FilterPolicy(10)

type pebbleStore struct{ db *pebble.DB }

func openPebble(dir string) (store, error) {
	return openPebbleWith(dir, cacheSize, pebble.NoFilterPolicy)
}

// openPebbleWith opens a store with a cache of so many bytes, and with filters of this kind
// at the last level.
func openPebbleWith(dir string, cacheBytes int64, lastFilter pebble.FilterPolicy) (*pebbleStore, error) {
	cache := pebble.NewCache(cacheBytes)
	defer cache.Unref()
	opts := &pebble.Options{
		Cache:                       cache,
		FormatMajorVersion:          pebble.FormatNewest,
		L0CompactionThreshold:       2,
		L0StopWritesThreshold:       1000,
		LBaseMaxBytes:               64 << 20,
		MemTableSize:                64 << 20,
		MemTableStopWritesThreshold: 4,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 3 },
		Logger:                      quiet{},
	}
	opts.Experimental.EnableColumnarBlocks = func() bool { return true }
	for i := range opts.Levels {
		l := &opts.Levels[i]
		l.BlockSize = 32 << 10
		l.IndexBlockSize = 256 << 10
		l.FilterPolicy = pebbleFilter
		l.FilterType = pebble.TableFilter
	}
	opts.Levels[len(opts.Levels)-1].FilterPolicy = lastFilter
	opts.FlushSplitBytes = opts.TargetFileSizes[0]
	db, err := pebble.Open(dir, opts)
	if err != nil {
		return nil, err
	}
	return &pebbleStore{db}, nil
}

// quiet drops what a system would log.
type quiet struct{}

func (quiet) Infof(string, ...any)    {}
func (quiet) Errorf(string, ...any)   {}
func (quiet) Warningf(string, ...any) {}
func (quiet) Debugf(string, ...any)   {}
func (quiet) Fatalf(format string, args ...any) {
	panic("pebble: " + format)
}

func (p *pebbleStore) put(r *record) error {
	return p.db.Set(r.key[:], r.val[:], pebble.Sync)
}

func (p *pebbleStore) putAll(rs []record) error {
	b := p.db.NewBatchWithSize(len(rs) * (recordSize + 8))
	for i := range rs {
		if err := b.Set(rs[i].key[:], rs[i].val[:], nil); err != nil {
			return err
		}
	}
	return b.Commit(pebble.Sync)
}

func (p *pebbleStore) putAsync(r *record) (func() error, error) {
	b := p.db.NewBatch()
	if err := b.Set(r.key[:], r.val[:], nil); err != nil {
		return nil, err
	}
	if err := p.db.ApplyNoSyncWait(b, pebble.Sync); err != nil {
		return nil, err
	}
	return func() error {
		if err := b.SyncWait(); err != nil {
			return err
		}
		return b.Close()
	}, nil
}

func (p *pebbleStore) scan(visit func(key, val []byte)) error {
	it, err := p.db.NewIter(nil)
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		visit(it.Key(), it.Value())
	}
	if err := it.Error(); err != nil {
		_ = it.Close()
		return err
	}
	return it.Close()
}

// settle waits until no compaction runs or is due.
func (p *pebbleStore) settle() error {
	if err := p.db.Flush(); err != nil {
		return err
	}
	return poll(func() bool {
		m := p.db.Metrics()
		return m.Compact.NumInProgress == 0 && m.Compact.EstimatedDebt == 0
	})
}

func (p *pebbleStore) close() error { return p.db.Close() }
