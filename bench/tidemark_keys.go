package main

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/tidemark-go/tidemark/persist"
)

// runSealed seals all batches of a store that is read by keys. A load seals ten batches or more
// at once, so its last ones may be left over.
func runSealed(j job) (_ result, err error) {
	ctx := context.Background()
	t, err := openForm(j.Dir, persist.Config{}, asBytes)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	_, err = t.write.Seal(ctx, j.Records/bulkBatch).Wait(ctx)
	return nil, errors.Join(err, t.settle())
}

// viewed reads one snapshot by keys, as of the last time that is sealed. Every value is a
// copy that the caller may keep.
type viewed struct {
	*tidemark[[]byte, []byte]
	snapshot *persist.Snapshot[[]byte, []byte]
	view     *persist.View[[]byte, []byte]
}

func openView(dir string, cacheBytes int64) (keyed, error) {
	t, err := openForm(dir, persist.Config{CacheSizeLimit: cacheBytes}, asBytes)
	if err != nil {
		return nil, err
	}
	s, err := t.read.Snapshot(context.Background())
	if err != nil {
		return nil, errors.Join(err, t.close())
	}
	return &viewed{t, s, s.At(t.base - 1)}, nil
}

func (v *viewed) get(key []byte, visit func(val []byte)) error {
	for u, err := range v.view.Get(context.Background(), key) {
		if err != nil {
			return err
		}
		visit(u.Val)
	}
	return nil
}

func (v *viewed) lookup(keys [][]byte, visit func(key, val []byte)) error {
	for u, err := range v.view.Lookup(context.Background(), slices.Values(keys)) {
		if err != nil {
			return err
		}
		visit(u.Key, u.Val)
	}
	return nil
}

// behindAll is greater than every key.
var behindAll = bytes.Repeat([]byte{0xff}, keySize+1)

func (v *viewed) readFrom(key []byte, n int, visit func(key, val []byte)) error {
	for u, err := range v.view.Range(context.Background(), key, behindAll) {
		if err != nil {
			return err
		}
		visit(u.Key, u.Val)
		if n--; n == 0 {
			break
		}
	}
	return nil
}

func (v *viewed) close() error { return errors.Join(v.snapshot.Close(), v.tidemark.close()) }
