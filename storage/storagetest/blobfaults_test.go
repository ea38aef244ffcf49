package storagetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/storage"
)

func (p *memPlaces) blobs() Blobs {
	return Blobs{
		Open: func(_ context.Context, path string, lock storage.LockInfo) (storage.Blob, error) {
			blob, err := p.at(path).OpenBlob(lock)
			if err != nil {
				return nil, err
			}
			return blob, nil
		},
		OpenReader: func(_ context.Context, path string) (storage.BlobReader, error) {
			return p.at(path).OpenBlobReader(), nil
		},
		Features: Features{TakeOver: true},
	}
}

// badBlob is a blob store with faults: each function that is set replaces a
// method.
type badBlob struct {
	storage.Blob
	get      func(ctx context.Context, key string) ([]byte, storage.Version, error)
	getRange func(ctx context.Context, key string, offset, length int64) ([]byte, error)
	list     func(ctx context.Context, prefix string) iter.Seq2[storage.BlobInfo, error]
	set      func(ctx context.Context, key string, value []byte) (storage.Version, error)
	setIf    func(ctx context.Context, key string, value []byte, expected storage.Version) (storage.Version, error)
	delete   func(ctx context.Context, key string) error
	close    func() error
}

func (b *badBlob) Get(ctx context.Context, key string) ([]byte, storage.Version, error) {
	if b.get == nil {
		return b.Blob.Get(ctx, key)
	}
	return b.get(ctx, key)
}

func (b *badBlob) GetRange(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	if b.getRange == nil {
		return b.Blob.GetRange(ctx, key, offset, length)
	}
	return b.getRange(ctx, key, offset, length)
}

func (b *badBlob) List(ctx context.Context, prefix string) iter.Seq2[storage.BlobInfo, error] {
	if b.list == nil {
		return b.Blob.List(ctx, prefix)
	}
	return b.list(ctx, prefix)
}

func (b *badBlob) Set(ctx context.Context, key string, value []byte) (storage.Version, error) {
	if b.set == nil {
		return b.Blob.Set(ctx, key, value)
	}
	return b.set(ctx, key, value)
}

func (b *badBlob) SetIf(ctx context.Context, key string, value []byte, expected storage.Version) (storage.Version, error) {
	if b.setIf == nil {
		return b.Blob.SetIf(ctx, key, value, expected)
	}
	return b.setIf(ctx, key, value, expected)
}

func (b *badBlob) Delete(ctx context.Context, key string) error {
	if b.delete == nil {
		return b.Blob.Delete(ctx, key)
	}
	return b.delete(ctx, key)
}

func (b *badBlob) Close() error {
	if b.close == nil {
		return b.Blob.Close()
	}
	return b.close()
}

// spoil applies a fault to every store that is opened.
func (open Blobs) spoil(fault func(*badBlob)) Blobs {
	openBlob := open.Open
	open.Open = func(ctx context.Context, path string, lock storage.LockInfo) (storage.Blob, error) {
		blob, err := openBlob(ctx, path, lock)
		if err != nil {
			return nil, err
		}
		bad := &badBlob{Blob: blob}
		fault(bad)
		return bad, nil
	}
	return open
}

// rename stores every blob under another key.
func (b *badBlob) rename(to func(string) string) {
	b.get = func(ctx context.Context, key string) ([]byte, storage.Version, error) {
		return b.Blob.Get(ctx, to(key))
	}
	b.set = func(ctx context.Context, key string, value []byte) (storage.Version, error) {
		return b.Blob.Set(ctx, to(key), value)
	}
	b.setIf = func(ctx context.Context, key string, value []byte, expected storage.Version) (storage.Version, error) {
		return b.Blob.SetIf(ctx, to(key), value, expected)
	}
}

// relist changes what List yields as a whole.
func (b *badBlob) relist(change func([]storage.BlobInfo) []storage.BlobInfo) {
	b.list = func(ctx context.Context, prefix string) iter.Seq2[storage.BlobInfo, error] {
		return func(yield func(storage.BlobInfo, error) bool) {
			var infos []storage.BlobInfo
			for info, err := range b.Blob.List(ctx, prefix) {
				if err != nil {
					yield(info, err)
					return
				}
				infos = append(infos, info)
			}
			for _, info := range change(infos) {
				if !yield(info, nil) {
					return
				}
			}
		}
	}
}

var blobFaults = []struct {
	name   string
	caught []string
	open   func(*memPlaces) Blobs
}{
	{"sets whatever the version is", []string{"SetIf", "SetIfRace", "History"}, func(p *memPlaces) Blobs {
		return p.blobs().spoil(func(b *badBlob) {
			b.setIf = func(ctx context.Context, key string, value []byte, _ storage.Version) (storage.Version, error) {
				return b.Blob.Set(ctx, key, value)
			}
		})
	}},
	{"reports a conflict and sets all the same", []string{"SetIf"}, func(p *memPlaces) Blobs {
		return p.blobs().spoil(func(b *badBlob) {
			b.setIf = func(ctx context.Context, key string, value []byte, expected storage.Version) (storage.Version, error) {
				version, err := b.Blob.SetIf(ctx, key, value, expected)
				if errors.Is(err, storage.ErrConflict) {
					_, _ = b.Blob.Set(ctx, key, value)
				}
				return version, err
			}
		})
	}},
	{"takes any version for a blob that does not exist", []string{"SetIf", "History"}, func(p *memPlaces) Blobs {
		return p.blobs().spoil(func(b *badBlob) {
			b.setIf = func(ctx context.Context, key string, value []byte, expected storage.Version) (storage.Version, error) {
				if _, _, err := b.Blob.Get(ctx, key); errors.Is(err, storage.ErrNotFound) {
					expected = storage.NoVersion
				}
				return b.Blob.SetIf(ctx, key, value, expected)
			}
		})
	}},
	{"lets nobody win", []string{"SetIfRace"}, func(p *memPlaces) Blobs {
		return p.blobs().spoil(func(b *badBlob) {
			b.setIf = func(context.Context, string, []byte, storage.Version) (storage.Version, error) {
				return storage.NoVersion, storage.ErrConflict
			}
		})
	}},
	{"lists backwards", []string{"SetGet", "List", "ListMany"}, func(p *memPlaces) Blobs {
		return p.blobs().spoil(func(b *badBlob) {
			b.relist(func(infos []storage.BlobInfo) []storage.BlobInfo { slices.Reverse(infos); return infos })
		})
	}},
	{"lists without a prefix", []string{"List"}, func(p *memPlaces) Blobs {
		return p.blobs().spoil(func(b *badBlob) {
			b.list = func(ctx context.Context, _ string) iter.Seq2[storage.BlobInfo, error] { return b.Blob.List(ctx, "") }
		})
	}},
	{"takes a prefix for a folder", []string{"List"}, func(p *memPlaces) Blobs {
		return p.blobs().spoil(func(b *badBlob) {
			b.list = func(ctx context.Context, prefix string) iter.Seq2[storage.BlobInfo, error] {
				return b.Blob.List(ctx, prefix[:strings.LastIndex(prefix, "/")+1])
			}
		})
	}},
	{"lists one page", []string{"ListMany"}, func(p *memPlaces) Blobs {
		return p.blobs().spoil(func(b *badBlob) {
			b.relist(func(infos []storage.BlobInfo) []storage.BlobInfo { return infos[:min(len(infos), 200)] })
		})
	}},
	{"lists pages by number", []string{"ListWhileChanging"}, func(p *memPlaces) Blobs {
		return p.blobs().spoil(func(b *badBlob) {
			b.list = func(ctx context.Context, prefix string) iter.Seq2[storage.BlobInfo, error] {
				return func(yield func(storage.BlobInfo, error) bool) {
					for from := 0; ; from += 10 {
						n := 0
						for info, err := range b.Blob.List(ctx, prefix) {
							if n++; n > from && n <= from+10 && !yield(info, err) {
								return
							}
						}
						if n < from+10 {
							return
						}
					}
				}
			}
		})
	}},
	{"lists sizes it does not know", []string{"SetGet", "List"}, func(p *memPlaces) Blobs {
		return p.blobs().spoil(func(b *badBlob) {
			b.relist(func(infos []storage.BlobInfo) []storage.BlobInfo {
				for i := range infos {
					infos[i].Size = 0
				}
				return infos
			})
		})
	}},
	{"overwrites without truncating", []string{"Overwrite"}, func(p *memPlaces) Blobs {
		return p.blobs().spoil(func(b *badBlob) {
			b.set = func(ctx context.Context, key string, value []byte) (storage.Version, error) {
				old, _, _ := b.Blob.Get(ctx, key)
				return b.Blob.Set(ctx, key, append(value, old[min(len(value), len(old)):]...))
			}
		})
	}},
	{"keeps the caller's value", []string{"KeepsNothing"}, func(p *memPlaces) Blobs {
		kept := map[string][]byte{}
		return p.blobs().spoil(func(b *badBlob) {
			b.set = func(ctx context.Context, key string, value []byte) (storage.Version, error) {
				kept[key] = value
				return b.Blob.Set(ctx, key, value)
			}
			b.get = func(ctx context.Context, key string) ([]byte, storage.Version, error) {
				_, version, err := b.Blob.Get(ctx, key)
				return kept[key], version, err
			}
		})
	}},
	{"hands out its only copy", []string{"KeepsNothing"}, func(p *memPlaces) Blobs {
		copies := map[storage.Version][]byte{}
		return p.blobs().spoil(func(b *badBlob) {
			b.get = func(ctx context.Context, key string) ([]byte, storage.Version, error) {
				value, version, err := b.Blob.Get(ctx, key)
				if copies[version] == nil {
					copies[version] = value
				}
				return copies[version], version, err
			}
		})
	}},
	{"has nil for what is absent", []string{"Absent", "Delete", "ReaderFirst"}, func(p *memPlaces) Blobs {
		open := p.blobs()
		spoiled := open.spoil(func(b *badBlob) {
			b.get = func(ctx context.Context, key string) ([]byte, storage.Version, error) {
				value, version, err := b.Blob.Get(ctx, key)
				if errors.Is(err, storage.ErrNotFound) {
					err = nil
				}
				return value, version, err
			}
		})
		spoiled.OpenReader = func(ctx context.Context, path string) (storage.BlobReader, error) {
			return nil, storage.ErrNotFound // as if the location had to be there
		}
		return spoiled
	}},
	{"fails to delete what is absent", []string{"Absent", "Delete"}, func(p *memPlaces) Blobs {
		return p.blobs().spoil(func(b *badBlob) {
			b.delete = func(ctx context.Context, key string) error {
				if _, _, err := b.Blob.Get(ctx, key); err != nil {
					return err
				}
				return b.Blob.Delete(ctx, key)
			}
		})
	}},
	{"deletes by prefix", []string{"OddKeys", "History"}, func(p *memPlaces) Blobs {
		return p.blobs().spoil(func(b *badBlob) {
			b.delete = func(ctx context.Context, key string) error {
				for info, err := range b.Blob.List(ctx, key+"/") {
					if err != nil {
						return err
					}
					if err := b.Blob.Delete(ctx, info.Key); err != nil {
						return err
					}
				}
				return b.Blob.Delete(ctx, key)
			}
		})
	}},
	{"cuts ranges to what there is", []string{"Range"}, func(p *memPlaces) Blobs {
		return p.blobs().spoil(func(b *badBlob) {
			b.getRange = func(ctx context.Context, key string, offset, length int64) ([]byte, error) {
				value, _, err := b.Blob.Get(ctx, key)
				size := int64(len(value))
				offset, length = min(max(offset, 0), size), max(length, 0)
				return value[offset : offset+min(length, size-offset)], err
			}
		})
	}},
	{"takes length for an end", []string{"Range", "Large"}, func(p *memPlaces) Blobs {
		return p.blobs().spoil(func(b *badBlob) {
			b.getRange = func(ctx context.Context, key string, offset, length int64) ([]byte, error) {
				return b.Blob.GetRange(ctx, key, offset, length-offset)
			}
		})
	}},
	{"ignores case", []string{"OddKeys", "SetGet"}, func(p *memPlaces) Blobs {
		return p.blobs().spoil(func(b *badBlob) { b.rename(strings.ToLower) })
	}},
	{"stores slashes as underscores", []string{"OddKeys", "List"}, func(p *memPlaces) Blobs {
		return p.blobs().spoil(func(b *badBlob) {
			b.rename(func(key string) string { return strings.ReplaceAll(key, "/", "_") })
		})
	}},
	{"repairs keys that are not UTF-8", []string{"OddKeys"}, func(p *memPlaces) Blobs {
		return p.blobs().spoil(func(b *badBlob) {
			b.rename(func(key string) string { return strings.ToValidUTF8(key, "\ufffd") })
		})
	}},
	{"cuts long keys", []string{"OddKeys"}, func(p *memPlaces) Blobs {
		return p.blobs().spoil(func(b *badBlob) {
			b.rename(func(key string) string { return key[:min(len(key), 255)] })
		})
	}},
	{"hides names of its own", []string{"OddKeys"}, func(p *memPlaces) Blobs {
		return p.blobs().spoil(func(b *badBlob) {
			b.relist(func(infos []storage.BlobInfo) []storage.BlobInfo {
				return slices.DeleteFunc(infos, func(info storage.BlobInfo) bool { return strings.HasSuffix(info.Key, ".tmp") })
			})
		})
	}},
	{"takes the empty key", []string{"InvalidKeys"}, func(p *memPlaces) Blobs {
		return p.blobs().spoil(func(b *badBlob) {
			b.rename(func(key string) string { return strings.Repeat("-", 1-min(len(key), 1)) + key })
		})
	}},
	{"has no limit where it says so", []string{"TooLarge"}, func(p *memPlaces) Blobs {
		open := p.blobs()
		open.Features.MaxSize = 1000
		return open
	}},
	{"cuts large values", []string{"Large"}, func(p *memPlaces) Blobs {
		return p.blobs().spoil(func(b *badBlob) {
			b.set = func(ctx context.Context, key string, value []byte) (storage.Version, error) {
				return b.Blob.Set(ctx, key, value[:min(len(value), 1<<20)])
			}
		})
	}},
	{"forgets everything when it is closed", []string{"Reopen", "Overwrite"}, func(p *memPlaces) Blobs {
		open := p.blobs()
		open.Open = func(_ context.Context, path string, lock storage.LockInfo) (storage.Blob, error) {
			return mem.NewPlace(path).OpenBlob(lock)
		}
		return open
	}},
	{"has versions that do not outlive a handle", []string{"Reopen", "History"}, func(p *memPlaces) Blobs {
		return p.blobs().spoil(func(b *badBlob) {
			own := storage.Version(fmt.Sprintf("%p ", b))
			b.get = func(ctx context.Context, key string) ([]byte, storage.Version, error) {
				value, version, err := b.Blob.Get(ctx, key)
				if err == nil {
					version = own + version
				}
				return value, version, err
			}
			b.set = func(ctx context.Context, key string, value []byte) (storage.Version, error) {
				version, err := b.Blob.Set(ctx, key, value)
				return own + version, err
			}
			b.setIf = func(ctx context.Context, key string, value []byte, expected storage.Version) (storage.Version, error) {
				version, err := b.Blob.SetIf(ctx, key, value, storage.Version(strings.TrimPrefix(string(expected), string(own))))
				return own + version, err
			}
		})
	}},
	{"has one location for all paths", []string{"Independent"}, func(p *memPlaces) Blobs {
		open := p.blobs()
		openBlob := open.Open
		open.Open = func(ctx context.Context, _ string, _ storage.LockInfo) (storage.Blob, error) {
			return openBlob(ctx, "", alice)
		}
		return open
	}},
	{"shows readers a value that was replaced", []string{"Readers", "Atomic"}, func(p *memPlaces) Blobs {
		open := p.blobs()
		open.OpenReader = func(_ context.Context, path string) (storage.BlobReader, error) {
			return &stale{BlobReader: p.at(path).OpenBlobReader()}, nil
		}
		return open
	}},
	{"mixes two values", []string{"Overwrite", "Atomic"}, func(p *memPlaces) Blobs {
		var mu sync.Mutex
		before := map[string][]byte{}
		return p.blobs().spoil(func(b *badBlob) {
			b.set = func(ctx context.Context, key string, value []byte) (storage.Version, error) {
				old, _, _ := b.Blob.Get(ctx, key)
				mu.Lock()
				before[key] = old
				mu.Unlock()
				return b.Blob.Set(ctx, key, value)
			}
			b.get = func(ctx context.Context, key string) ([]byte, storage.Version, error) {
				value, version, err := b.Blob.Get(ctx, key)
				mu.Lock()
				defer mu.Unlock()
				copy(value[len(value)/2:], before[key])
				return value, version, err
			}
		})
	}},
	{"does not pin", []string{"Pin"}, func(p *memPlaces) Blobs {
		open := p.blobs()
		open.OpenReader = func(_ context.Context, path string) (storage.BlobReader, error) {
			return careless{p.at(path).OpenBlobReader()}, nil
		}
		return open
	}},
	{"opens by name", []string{"Open"}, func(p *memPlaces) Blobs {
		open := p.blobs()
		open.OpenReader = func(_ context.Context, path string) (storage.BlobReader, error) {
			return byName{p.at(path).OpenBlobReader()}, nil
		}
		return open
	}},
	{"answers after Close", []string{"UseAfterClose"}, func(p *memPlaces) Blobs {
		return p.blobs().spoil(func(b *badBlob) {
			b.delete = func(ctx context.Context, key string) error {
				if err := b.Blob.Delete(ctx, key); !errors.Is(err, storage.ErrClosed) {
					return err
				}
				return nil
			}
		})
	}},
	{"ignores contexts", []string{"Cancelled"}, func(p *memPlaces) Blobs {
		return p.blobs().spoil(func(b *badBlob) {
			b.list = func(ctx context.Context, prefix string) iter.Seq2[storage.BlobInfo, error] {
				return b.Blob.List(context.WithoutCancel(ctx), prefix)
			}
		})
	}},
	{"opens the lock for anybody", []string{"SecondOwner", "LateClose", "ReaderKeepsLock"}, func(p *memPlaces) Blobs {
		open := p.blobs()
		openBlob := open.Open
		open.Open = func(ctx context.Context, path string, _ storage.LockInfo) (storage.Blob, error) {
			return openBlob(ctx, path, alice)
		}
		return open
	}},
	{"closes the successor", []string{"SameOwner", "LateClose"}, func(p *memPlaces) Blobs {
		open := p.blobs()
		openBlob := open.Open
		current := map[string]storage.Blob{}
		open.Open = func(ctx context.Context, path string, lock storage.LockInfo) (storage.Blob, error) {
			blob, err := openBlob(ctx, path, lock)
			if err != nil {
				return nil, err
			}
			current[path] = blob
			return &badBlob{Blob: blob, close: func() error { return current[path].Close() }}, nil
		}
		return open
	}},
}

// stale is a reader that never looks at a blob again.
type stale struct {
	storage.BlobReader
	mu   sync.Mutex
	seen map[string][]byte
}

func (s *stale) Get(ctx context.Context, key string) ([]byte, storage.Version, error) {
	value, version, err := s.BlobReader.Get(ctx, key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.seen[key]; ok {
		return old, version, nil
	}
	if s.seen == nil {
		s.seen = map[string][]byte{}
	}
	if err == nil {
		s.seen[key] = value
	}
	return value, version, err
}

// careless is a reader that pins nothing.
type careless struct{ storage.BlobReader }

func (c careless) Pin(ctx context.Context, key string) (release func(), err error) {
	_, _, err = c.Get(ctx, key)
	return func() {}, err
}

// byName is a reader whose open blobs are those that have the key at the time of a read.
type byName struct{ storage.BlobReader }

func (b byName) Open(ctx context.Context, key string) (storage.OpenBlob, error) {
	_, _, err := b.Get(ctx, key)
	return named{b, key}, err
}

type named struct {
	reader byName
	key    string
}

func (n named) ReadRange(ctx context.Context, p []byte, offset int64) error {
	data, err := n.reader.GetRange(ctx, n.key, offset, int64(len(p)))
	copy(p, data)
	return err
}

func (n named) Size() int64 { return 8 }

func (n named) Close() error { return nil }

func TestBlobSuiteCatchesFaults(t *testing.T) {
	caught := map[string]bool{}
	for _, fault := range blobFaults {
		t.Run(fault.name, func(t *testing.T) {
			requireCaught(t, blobChecks(fault.open(&memPlaces{})), fault.caught)
		})
		for _, name := range fault.caught {
			caught[name] = true
		}
	}
	requireAllCaught(t, blobChecks(Blobs{}), caught)
}

func blobChecks(open Blobs) map[string]func(testing.TB) {
	checks := map[string]func(testing.TB){}
	for _, check := range blobTests {
		checks[check.name] = func(t testing.TB) { check.run(t, open) }
	}
	return checks
}

// A store without locks, as object stores are, passes; and so does one without
// readers.
func TestBlobSuiteAcceptsVariants(t *testing.T) {
	shared := &memPlaces{}
	open := shared.blobs()
	open.Features = Features{Exclusion: Share}
	openBlob := open.Open
	var mu sync.Mutex
	owners := map[string]storage.Blob{}
	open.Open = func(ctx context.Context, path string, lock storage.LockInfo) (storage.Blob, error) {
		mu.Lock()
		defer mu.Unlock()
		if owners[path] == nil {
			blob, err := openBlob(ctx, path, lock)
			if err != nil {
				return nil, err
			}
			owners[path] = blob
		}
		return &session{badBlob: badBlob{Blob: owners[path]}}, nil
	}
	check := func(open Blobs) {
		t.Helper()
		for name, check := range blobChecks(open) {
			r := observe(t, check)
			require.False(t, r.failed, "%s: %v", name, r.messages)
		}
	}
	check(open)

	plain := (&memPlaces{}).blobs()
	plain.OpenReader = nil
	check(plain)
}
