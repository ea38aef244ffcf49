package mem

import (
	"context"
	"iter"

	"github.com/tidemark-go/tidemark/storage"
)

// Blob wraps a blob store. The wrapped store is no storage.Opener: it is asked for every range.
func (u *Unreliable) Blob(blob storage.Blob) storage.Blob {
	return unreliableBlob{unreliableBlobReader{u, blob}, blob}
}

// BlobReader wraps a reader of blobs. The wrapped reader is a storage.Pinner if the reader
// is one, and no storage.Opener.
func (u *Unreliable) BlobReader(reader storage.BlobReader) storage.BlobReader {
	wrapped := unreliableBlobReader{u, reader}
	if pinner, ok := reader.(storage.Pinner); ok {
		return unreliablePinner{wrapped, pinner}
	}
	return wrapped
}

type unreliableBlob struct {
	unreliableBlobReader
	blob storage.Blob
}

func (b unreliableBlob) Set(ctx context.Context, key string, value []byte) (storage.Version, error) {
	return call(ctx, b.u, OpSet, key, func() (storage.Version, error) { return b.blob.Set(ctx, key, value) })
}

func (b unreliableBlob) SetIf(ctx context.Context, key string, value []byte, expected storage.Version) (storage.Version, error) {
	return call(ctx, b.u, OpSetIf, key, func() (storage.Version, error) { return b.blob.SetIf(ctx, key, value, expected) })
}

func (b unreliableBlob) Delete(ctx context.Context, key string) error {
	_, err := call(ctx, b.u, OpDelete, key, func() (struct{}, error) { return struct{}{}, b.blob.Delete(ctx, key) })
	return err
}

type unreliableBlobReader struct {
	u      *Unreliable
	reader storage.BlobReader
}

func (r unreliableBlobReader) Get(ctx context.Context, key string) ([]byte, storage.Version, error) {
	type found struct {
		value   []byte
		version storage.Version
	}
	answer, err := call(ctx, r.u, OpGet, key, func() (found, error) {
		value, version, err := r.reader.Get(ctx, key)
		return found{value, version}, err
	})
	return answer.value, answer.version, err
}

func (r unreliableBlobReader) GetRange(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	return call(ctx, r.u, OpGetRange, key, func() ([]byte, error) { return r.reader.GetRange(ctx, key, offset, length) })
}

func (r unreliableBlobReader) List(ctx context.Context, prefix string) iter.Seq2[storage.BlobInfo, error] {
	return sequence(ctx, r.u, OpList, prefix, r.reader.List(ctx, prefix))
}

func (r unreliableBlobReader) Close() error { return r.u.closing(OpBlobClose, r.reader.Close) }

type unreliablePinner struct {
	unreliableBlobReader
	pinner storage.Pinner
}

func (p unreliablePinner) Pin(ctx context.Context, key string) (release func(), err error) {
	return call(ctx, p.u, OpPin, key, func() (func(), error) { return p.pinner.Pin(ctx, key) })
}
