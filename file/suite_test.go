package file_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/storage"
	"github.com/tidemark-go/tidemark/storage/storagetest"
)

// The suites run with the usual segments and with ones so small that every few
// appends need a new one, so that rotation, truncation and recycling take part.
func TestLogSuite(t *testing.T) {
	t.Parallel()
	sizes := map[string][2]int64{"usual": {1 << 20, 32 << 20}, "small": {file.MinSegmentSize, 2 * file.MinSegmentSize}}
	for name, size := range sizes {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			small := file.SegmentSize(size[0], size[1])
			storagetest.TestLog(t, storagetest.Logs{
				Open: func(_ context.Context, path string, lock storage.LockInfo) (storage.Log, error) {
					l, err := file.NewLog(filepath.Join(dir, path), file.LockInfo(lock), small)
					if err != nil {
						return nil, err
					}
					return l, nil
				},
				OpenReader: func(_ context.Context, path string) (storage.LogReader, error) {
					return file.NewLogReader(filepath.Join(dir, path))
				},
			})
		})
	}
}

func TestBlobSuite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	storagetest.TestBlob(t, storagetest.Blobs{
		Open: func(_ context.Context, path string, lock storage.LockInfo) (storage.Blob, error) {
			b, err := file.NewBlob(filepath.Join(dir, path), file.LockInfo(lock))
			if err != nil {
				return nil, err
			}
			return b, nil
		},
		OpenReader: func(_ context.Context, path string) (storage.BlobReader, error) {
			return file.NewBlobReader(filepath.Join(dir, path))
		},
	})
}
