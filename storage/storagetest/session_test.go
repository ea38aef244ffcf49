package storagetest

import (
	"context"
	"iter"
	"sync/atomic"

	"github.com/tidemark-go/tidemark/storage"
)

// session is one of several handles of a store that anybody may write to.
type session struct {
	badBlob
	closed atomic.Bool
}

func (s *session) Get(ctx context.Context, key string) ([]byte, storage.Version, error) {
	if s.closed.Load() {
		return nil, storage.NoVersion, storage.ErrClosed
	}
	return s.badBlob.Get(ctx, key)
}

func (s *session) GetRange(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	if s.closed.Load() {
		return nil, storage.ErrClosed
	}
	return s.badBlob.GetRange(ctx, key, offset, length)
}

func (s *session) List(ctx context.Context, prefix string) iter.Seq2[storage.BlobInfo, error] {
	if s.closed.Load() {
		return func(yield func(storage.BlobInfo, error) bool) { yield(storage.BlobInfo{}, storage.ErrClosed) }
	}
	return s.badBlob.List(ctx, prefix)
}

func (s *session) Set(ctx context.Context, key string, value []byte) (storage.Version, error) {
	if s.closed.Load() {
		return storage.NoVersion, storage.ErrClosed
	}
	return s.badBlob.Set(ctx, key, value)
}

func (s *session) SetIf(ctx context.Context, key string, value []byte, expected storage.Version) (storage.Version, error) {
	if s.closed.Load() {
		return storage.NoVersion, storage.ErrClosed
	}
	return s.badBlob.SetIf(ctx, key, value, expected)
}

func (s *session) Delete(ctx context.Context, key string) error {
	if s.closed.Load() {
		return storage.ErrClosed
	}
	return s.badBlob.Delete(ctx, key)
}

func (s *session) Close() error {
	s.closed.Store(true)
	return nil
}
