package main

import (
	"bytes"
	"context"
	"errors"

	"github.com/cockroachdb/pebble/v2"
)

// runCompacted sets up a store of Pebble that is read by keys: all records are in one level,
// and that level has filters.
func runCompacted(j job) (_ result, err error) {
	p, err := openPebbleWith(j.Dir, cacheSize, pebbleFilter)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if err := load(p, j.From, j.Records); err != nil {
		return nil, err
	}
	return nil, errors.Join(p.db.Compact(context.Background(), nil, behindAll, true), p.settle())
}

// pebbleGets reads single keys by Get. Get asks the filters of all levels but the last one,
// whatever the options are.
type pebbleGets struct{ *pebbleStore }

func openPebbleGets(dir string, cacheBytes int64) (keyed, error) {
	p, err := openPebbleWith(dir, cacheBytes, pebbleFilter)
	if err != nil {
		return nil, err
	}
	return pebbleGets{p}, nil
}

func (p pebbleGets) get(key []byte, visit func(val []byte)) error {
	val, closer, err := p.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	visit(val)
	return closer.Close()
}

func (p pebbleGets) lookup(keys [][]byte, visit func(key, val []byte)) error {
	var key []byte
	visitVal := func(val []byte) { visit(key, val) }
	for _, key = range keys {
		if err := p.get(key, visitVal); err != nil {
			return err
		}
	}
	return nil
}

func (p pebbleGets) readFrom(key []byte, n int, visit func(key, val []byte)) error {
	it, err := p.db.NewIter(nil)
	if err != nil {
		return err
	}
	for ok := it.SeekGE(key); ok && n > 0; ok = it.Next() {
		visit(it.Key(), it.Value())
		n--
	}
	return errors.Join(it.Error(), it.Close())
}

// pebbleSeeks reads single keys by one iterator. The iterator asks the filters of all levels.
type pebbleSeeks struct {
	pebbleGets
	it *pebble.Iterator
}

func openPebbleSeeks(dir string, cacheBytes int64) (keyed, error) {
	p, err := openPebbleWith(dir, cacheBytes, pebbleFilter)
	if err != nil {
		return nil, err
	}
	it, err := p.db.NewIter(&pebble.IterOptions{UseL6Filters: true})
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	return &pebbleSeeks{pebbleGets{p}, it}, nil
}

func (p *pebbleSeeks) get(key []byte, visit func(val []byte)) error {
	if p.it.SeekPrefixGE(key) && bytes.Equal(p.it.Key(), key) {
		visit(p.it.Value())
	}
	return p.it.Error()
}

func (p *pebbleSeeks) close() error { return errors.Join(p.it.Close(), p.pebbleGets.close()) }
