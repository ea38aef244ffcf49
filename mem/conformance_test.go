package mem_test

import (
	"context"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/storage"
	"github.com/tidemark-go/tidemark/storage/storagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// places finds places by path, as a registry does.
type places struct {
	options []mem.PlaceOption

	mu     sync.Mutex
	byPath map[string]*mem.Place
}

func (p *places) at(path string) *mem.Place {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byPath == nil {
		p.byPath = make(map[string]*mem.Place)
	}
	if p.byPath[path] == nil {
		p.byPath[path] = mem.NewPlace(path, p.options...)
	}
	return p.byPath[path]
}

// logs opens logs of places through an Unreliable, or bare if it is nil.
func logs(u *mem.Unreliable, options ...mem.PlaceOption) storagetest.Logs {
	all := &places{options: options}
	return storagetest.Logs{
		Open: func(_ context.Context, path string, lock storage.LockInfo) (storage.Log, error) {
			log, err := all.at(path).OpenLog(lock)
			if err != nil || u == nil {
				return log, err
			}
			return u.Log(log), nil
		},
		OpenReader: func(_ context.Context, path string) (storage.LogReader, error) {
			reader := all.at(path).OpenLogReader()
			if u == nil {
				return reader, nil
			}
			return u.LogReader(reader), nil
		},
		Features: storagetest.Features{TakeOver: true},
	}
}

// blobs is logs for blobs.
func blobs(u *mem.Unreliable) storagetest.Blobs {
	all := &places{}
	return storagetest.Blobs{
		Open: func(_ context.Context, path string, lock storage.LockInfo) (storage.Blob, error) {
			blob, err := all.at(path).OpenBlob(lock)
			if err != nil || u == nil {
				return blob, err
			}
			return u.Blob(blob), nil
		},
		OpenReader: func(_ context.Context, path string) (storage.BlobReader, error) {
			reader := all.at(path).OpenBlobReader()
			if u == nil {
				return reader, nil
			}
			return u.BlobReader(reader), nil
		},
		Features: storagetest.Features{TakeOver: true},
	}
}

func TestLogConformance(t *testing.T) {
	t.Run("bare", func(t *testing.T) { storagetest.TestLog(t, logs(nil)) })
	t.Run("gaps", func(t *testing.T) { storagetest.TestLog(t, logs(nil, mem.WithGaps(1))) })
	t.Run("unreliable", func(t *testing.T) { storagetest.TestLog(t, logs(mem.NewUnreliable(), mem.WithGaps(2))) })
}

func TestBlobConformance(t *testing.T) {
	t.Run("bare", func(t *testing.T) { storagetest.TestBlob(t, blobs(nil)) })
	t.Run("unreliable", func(t *testing.T) { storagetest.TestBlob(t, blobs(mem.NewUnreliable())) })
}
