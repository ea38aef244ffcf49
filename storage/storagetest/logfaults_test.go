package storagetest

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/storage"
)

// memPlaces finds places by path.
type memPlaces struct {
	mu     sync.Mutex
	byPath map[string]*mem.Place
}

func (p *memPlaces) at(path string) *mem.Place {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byPath == nil {
		p.byPath = make(map[string]*mem.Place)
	}
	if p.byPath[path] == nil {
		p.byPath[path] = mem.NewPlace(path)
	}
	return p.byPath[path]
}

func (p *memPlaces) logs() Logs {
	return Logs{
		Open: func(_ context.Context, path string, lock storage.LockInfo) (storage.Log, error) {
			log, err := p.at(path).OpenLog(lock)
			if err != nil {
				return nil, err
			}
			return log, nil
		},
		OpenReader: func(_ context.Context, path string) (storage.LogReader, error) {
			return p.at(path).OpenLogReader(), nil
		},
		Features: Features{TakeOver: true},
	}
}

// badLog is a log with faults: each function that is set replaces a method.
type badLog struct {
	storage.Log
	append   func(context.Context, storage.SeqNo, [][]byte) ([]storage.SeqNo, error)
	truncate func(context.Context, storage.SeqNo) error
	bounds   func(context.Context) (storage.Bounds, error)
	read     func(context.Context, storage.SeqNo) iter.Seq2[storage.Entry, error]
	close    func() error
}

func (b *badLog) Append(ctx context.Context, expected storage.SeqNo, entries [][]byte) ([]storage.SeqNo, error) {
	if b.append == nil {
		return b.Log.Append(ctx, expected, entries)
	}
	return b.append(ctx, expected, entries)
}

func (b *badLog) Truncate(ctx context.Context, through storage.SeqNo) error {
	if b.truncate == nil {
		return b.Log.Truncate(ctx, through)
	}
	return b.truncate(ctx, through)
}

func (b *badLog) Bounds(ctx context.Context) (storage.Bounds, error) {
	if b.bounds == nil {
		return b.Log.Bounds(ctx)
	}
	return b.bounds(ctx)
}

func (b *badLog) Read(ctx context.Context, after storage.SeqNo) iter.Seq2[storage.Entry, error] {
	if b.read == nil {
		return b.Log.Read(ctx, after)
	}
	return b.read(ctx, after)
}

func (b *badLog) Close() error {
	if b.close == nil {
		return b.Log.Close()
	}
	return b.close()
}

// readOnly makes a log of a reader, so that badLog can spoil readers as well.
type readOnly struct{ storage.LogReader }

var errReadOnly = errors.New("read-only")

func (readOnly) Append(context.Context, storage.SeqNo, [][]byte) ([]storage.SeqNo, error) {
	return nil, errReadOnly
}
func (readOnly) Truncate(context.Context, storage.SeqNo) error { return errReadOnly }

// spoil applies a fault to every log and reader that is opened.
func (open Logs) spoil(fault func(*badLog)) Logs {
	openLog, openReader := open.Open, open.OpenReader
	open.Open = func(ctx context.Context, path string, lock storage.LockInfo) (storage.Log, error) {
		log, err := openLog(ctx, path, lock)
		if err != nil {
			return nil, err
		}
		bad := &badLog{Log: log}
		fault(bad)
		return bad, nil
	}
	open.OpenReader = func(ctx context.Context, path string) (storage.LogReader, error) {
		reader, err := openReader(ctx, path)
		if err != nil {
			return nil, err
		}
		bad := &badLog{Log: readOnly{reader}}
		fault(bad)
		return bad, nil
	}
	return open
}

// sizer tells that a log takes so many bytes at a time, with four for each entry.
type sizer int64

const plainSizer sizer = largeSize + 1000

func (s sizer) MaxAppend() int64                         { return int64(s) }
func (sizer) StoredBytes(entries int, bytes int64) int64 { return 4*int64(entries) + bytes }

// told makes logs tell what plainSizer does, and refuse what the function says.
func (open Logs) told(refuse func(entries int, bytes int64) error) Logs {
	spoiled := open.spoil(func(b *badLog) {
		b.append = func(ctx context.Context, expected storage.SeqNo, entries [][]byte) ([]storage.SeqNo, error) {
			var bytes int64
			for _, e := range entries {
				bytes += int64(len(e))
			}
			if err := refuse(len(entries), bytes); err != nil {
				return nil, err
			}
			return b.Log.Append(ctx, expected, entries)
		}
	})
	openLog := spoiled.Open
	spoiled.Open = func(ctx context.Context, path string, lock storage.LockInfo) (storage.Log, error) {
		log, err := openLog(ctx, path, lock)
		return struct {
			storage.Log
			storage.LogSizer
		}{log, plainSizer}, err
	}
	return spoiled
}

// A log that keeps to what it tells passes.
func TestLogSuiteAcceptsASizer(t *testing.T) {
	open := (&memPlaces{}).logs().told(func(entries int, bytes int64) error {
		if plainSizer.StoredBytes(entries, bytes) > plainSizer.MaxAppend() {
			return storage.ErrTooLarge
		}
		return nil
	})
	for name, check := range logChecks(open) {
		r := observe(t, check)
		require.False(t, r.failed, "%s: %v", name, r.messages)
	}
}

// respond changes what Read yields, entry by entry; a false drops the entry.
func (b *badLog) respond(change func(storage.Entry) (storage.Entry, bool)) {
	b.read = func(ctx context.Context, after storage.SeqNo) iter.Seq2[storage.Entry, error] {
		return func(yield func(storage.Entry, error) bool) {
			for entry, err := range b.Log.Read(ctx, after) {
				keep := true
				if err == nil {
					entry, keep = change(entry)
				}
				if keep && !yield(entry, err) {
					return
				}
			}
		}
	}
}

var logFaults = []struct {
	name   string
	caught []string
	open   func(*memPlaces) Logs
}{
	{"ignores the expected position", []string{"Conflict", "EmptyAppend", "TruncateAll", "History"}, func(p *memPlaces) Logs {
		return p.logs().spoil(func(b *badLog) {
			b.append = func(ctx context.Context, _ storage.SeqNo, entries [][]byte) ([]storage.SeqNo, error) {
				bounds, err := b.Log.Bounds(ctx)
				if err != nil {
					return nil, err
				}
				return b.Log.Append(ctx, bounds.Last, entries)
			}
		})
	}},
	{"reports a conflict and appends all the same", []string{"Conflict"}, func(p *memPlaces) Logs {
		return p.logs().spoil(func(b *badLog) {
			b.append = func(ctx context.Context, expected storage.SeqNo, entries [][]byte) ([]storage.SeqNo, error) {
				positions, err := b.Log.Append(ctx, expected, entries)
				if bounds, _ := b.Log.Bounds(ctx); errors.Is(err, storage.ErrConflict) {
					_, _ = b.Log.Append(ctx, bounds.Last, entries)
				}
				return positions, err
			}
		})
	}},
	{"checks nothing for an append of nothing", []string{"EmptyAppend"}, func(p *memPlaces) Logs {
		return p.logs().spoil(func(b *badLog) {
			b.append = func(ctx context.Context, expected storage.SeqNo, entries [][]byte) ([]storage.SeqNo, error) {
				if len(entries) == 0 {
					return nil, nil
				}
				return b.Log.Append(ctx, expected, entries)
			}
		})
	}},
	{"returns positions in the wrong order", []string{"AppendRead"}, func(p *memPlaces) Logs {
		return p.logs().spoil(func(b *badLog) {
			b.append = func(ctx context.Context, expected storage.SeqNo, entries [][]byte) ([]storage.SeqNo, error) {
				positions, err := b.Log.Append(ctx, expected, entries)
				slices.Reverse(positions)
				return positions, err
			}
		})
	}},
	{"takes empty entries for nothing", []string{"AppendRead", "Reopen"}, func(p *memPlaces) Logs {
		return p.logs().spoil(func(b *badLog) {
			b.respond(func(e storage.Entry) (storage.Entry, bool) { return e, len(e.Data) > 0 })
		})
	}},
	{"keeps the caller's entries", []string{"KeepsNothing"}, func(p *memPlaces) Logs {
		kept := map[storage.SeqNo][]byte{}
		return p.logs().spoil(func(b *badLog) {
			b.append = func(ctx context.Context, expected storage.SeqNo, entries [][]byte) ([]storage.SeqNo, error) {
				positions, err := b.Log.Append(ctx, expected, entries)
				for i, position := range positions {
					kept[position] = entries[i]
				}
				return positions, err
			}
			b.respond(func(e storage.Entry) (storage.Entry, bool) { e.Data = kept[e.SeqNo]; return e, true })
		})
	}},
	{"reads every entry into one buffer", []string{"KeepsNothing", "AppendRead"}, func(p *memPlaces) Logs {
		return p.logs().spoil(func(b *badLog) {
			var buffer []byte
			b.respond(func(e storage.Entry) (storage.Entry, bool) {
				buffer = append(buffer[:0], e.Data...)
				e.Data = buffer
				return e, true
			})
		})
	}},
	{"cuts large entries", []string{"Large"}, func(p *memPlaces) Logs {
		return p.logs().spoil(func(b *badLog) {
			b.respond(func(e storage.Entry) (storage.Entry, bool) {
				e.Data = e.Data[:min(len(e.Data), 1<<20)]
				return e, true
			})
		})
	}},
	{"has no limit where it says so", []string{"TooLarge"}, func(p *memPlaces) Logs {
		open := p.logs()
		open.Features.MaxSize = 1000
		return open
	}},
	{"takes more than it tells", []string{"Sizer"}, func(p *memPlaces) Logs {
		return p.logs().told(func(int, int64) error { return nil })
	}},
	{"takes less than it tells", []string{"Sizer"}, func(p *memPlaces) Logs {
		return p.logs().told(func(entries int, bytes int64) error {
			if plainSizer.StoredBytes(entries, bytes) >= plainSizer.MaxAppend() {
				return storage.ErrTooLarge
			}
			return nil
		})
	}},
	{"yields on after the loop has ended", []string{"StopReading"}, func(p *memPlaces) Logs {
		return p.logs().spoil(func(b *badLog) {
			b.read = func(ctx context.Context, after storage.SeqNo) iter.Seq2[storage.Entry, error] {
				return func(yield func(storage.Entry, error) bool) {
					for entry, err := range b.Log.Read(ctx, after) {
						yield(entry, err)
					}
				}
			}
		})
	}},
	{"skips holes", []string{"Truncate", "TruncateAll", "History"}, func(p *memPlaces) Logs {
		return p.logs().spoil(func(b *badLog) {
			b.read = func(ctx context.Context, after storage.SeqNo) iter.Seq2[storage.Entry, error] {
				bounds, _ := b.Log.Bounds(ctx)
				return b.Log.Read(ctx, max(after, bounds.After))
			}
		})
	}},
	{"yields what is left before it reports a hole", []string{"Truncate"}, func(p *memPlaces) Logs {
		return p.logs().spoil(func(b *badLog) {
			b.read = func(ctx context.Context, after storage.SeqNo) iter.Seq2[storage.Entry, error] {
				bounds, _ := b.Log.Bounds(ctx)
				return func(yield func(storage.Entry, error) bool) {
					for entry, err := range b.Log.Read(ctx, max(after, bounds.After)) {
						if !yield(entry, err) {
							return
						}
					}
					if after < bounds.After {
						yield(storage.Entry{}, storage.ErrTruncated)
					}
				}
			}
		})
	}},
	{"takes any truncation", []string{"Empty", "Truncate", "History"}, func(p *memPlaces) Logs {
		return p.logs().spoil(func(b *badLog) {
			b.truncate = func(ctx context.Context, through storage.SeqNo) error {
				bounds, err := b.Log.Bounds(ctx)
				if err != nil {
					return err
				}
				return b.Log.Truncate(ctx, min(through, bounds.Last))
			}
		})
	}},
	{"truncates one entry too many", []string{"Truncate", "Readers"}, func(p *memPlaces) Logs {
		return p.logs().spoil(func(b *badLog) {
			b.truncate = func(ctx context.Context, through storage.SeqNo) error {
				bounds, err := b.Log.Bounds(ctx)
				if err != nil || through >= bounds.Last || through == 0 {
					return errors.Join(err, b.Log.Truncate(ctx, through))
				}
				return b.Log.Truncate(ctx, through+1)
			}
		})
	}},
	{"forgets positions when it is empty", []string{"TruncateAll"}, func(p *memPlaces) Logs {
		open := p.logs()
		openLog := open.Open
		open.Open = func(ctx context.Context, path string, lock storage.LockInfo) (storage.Log, error) {
			reader := p.at(path).OpenLogReader()
			defer reader.Close()
			if bounds, _ := reader.Bounds(ctx); bounds.After == bounds.Last {
				p.mu.Lock()
				delete(p.byPath, path)
				p.mu.Unlock()
			}
			return openLog(ctx, path, lock)
		}
		return open
	}},
	{"forgets everything when it is closed", []string{"Reopen", "Large"}, func(p *memPlaces) Logs {
		open := p.logs()
		open.Open = func(_ context.Context, path string, lock storage.LockInfo) (storage.Log, error) {
			return mem.NewPlace(path).OpenLog(lock)
		}
		return open
	}},
	{"has one location for all paths", []string{"Independent"}, func(p *memPlaces) Logs {
		open := p.logs()
		openLog := open.Open
		open.Open = func(ctx context.Context, _ string, _ storage.LockInfo) (storage.Log, error) {
			return openLog(ctx, "", alice)
		}
		return open
	}},
	{"opens the lock for anybody", []string{"SecondOwner", "LateClose", "ReaderKeepsLock"}, func(p *memPlaces) Logs {
		open := p.logs()
		openLog := open.Open
		open.Open = func(ctx context.Context, path string, _ storage.LockInfo) (storage.Log, error) {
			return openLog(ctx, path, alice)
		}
		return open
	}},
	{"does not say who holds the lock", []string{"SecondOwner"}, func(p *memPlaces) Logs {
		open := p.logs()
		openLog := open.Open
		open.Open = func(ctx context.Context, path string, lock storage.LockInfo) (storage.Log, error) {
			log, err := openLog(ctx, path, lock)
			if errors.Is(err, storage.ErrLocked) {
				err = &storage.LockedError{Location: path}
			}
			return log, err
		}
		return open
	}},
	{"fences although it should refuse, and does not fence", []string{"SameOwner"}, func(p *memPlaces) Logs {
		open := p.logs()
		openLog := open.Open
		opened := map[string]storage.Log{}
		open.Open = func(ctx context.Context, path string, lock storage.LockInfo) (storage.Log, error) {
			if opened[path] == nil {
				log, err := openLog(ctx, path, lock)
				if err != nil {
					return nil, err
				}
				opened[path] = log
			}
			return opened[path], nil
		}
		return open
	}},
	{"says that it fences, and refuses", []string{"SecondOwner"}, func(p *memPlaces) Logs {
		open := p.logs()
		open.Features.Exclusion = Fence
		return open
	}},
	{"refuses a takeover that it promises", []string{"SameOwner"}, func(p *memPlaces) Logs {
		open := p.logs()
		openLog := open.Open
		open.Open = func(ctx context.Context, path string, lock storage.LockInfo) (storage.Log, error) {
			if _, err := p.at(path).OpenLog(storage.LockInfo{Owner: "nobody"}); err != nil {
				return nil, err
			}
			return openLog(ctx, path, lock)
		}
		return open
	}},
	{"closes the successor", []string{"SameOwner", "LateClose"}, func(p *memPlaces) Logs {
		open := p.logs()
		openLog := open.Open
		current := map[string]storage.Log{}
		open.Open = func(ctx context.Context, path string, lock storage.LockInfo) (storage.Log, error) {
			log, err := openLog(ctx, path, lock)
			if err != nil {
				return nil, err
			}
			current[path] = log
			return &badLog{Log: log, close: func() error { return current[path].Close() }}, nil
		}
		return open
	}},
	{"releases the lock when a reader is closed", []string{"ReaderKeepsLock", "Readers"}, func(p *memPlaces) Logs {
		open := p.logs()
		open.OpenReader = func(_ context.Context, path string) (storage.LogReader, error) {
			place := p.at(path)
			reader := place.OpenLogReader()
			return &badLog{Log: readOnly{reader}, close: func() error {
				place.CrashWriter(nil)
				return reader.Close()
			}}, nil
		}
		return open
	}},
	{"answers after Close", []string{"UseAfterClose"}, func(p *memPlaces) Logs {
		return p.logs().spoil(func(b *badLog) {
			b.bounds = func(ctx context.Context) (storage.Bounds, error) {
				bounds, err := b.Log.Bounds(ctx)
				if errors.Is(err, storage.ErrClosed) {
					err = nil
				}
				return bounds, err
			}
		})
	}},
	{"repeats its error", []string{"UseAfterClose", "Truncate"}, func(p *memPlaces) Logs {
		return p.logs().spoil(func(b *badLog) {
			b.read = func(ctx context.Context, after storage.SeqNo) iter.Seq2[storage.Entry, error] {
				return func(yield func(storage.Entry, error) bool) {
					for entry, err := range b.Log.Read(ctx, after) {
						if !yield(entry, err) || (err != nil && !yield(entry, err)) {
							return
						}
					}
				}
			}
		})
	}},
	{"ignores contexts", []string{"Cancelled"}, func(p *memPlaces) Logs {
		return p.logs().spoil(func(b *badLog) {
			b.append = func(ctx context.Context, expected storage.SeqNo, entries [][]byte) ([]storage.SeqNo, error) {
				return b.Log.Append(context.WithoutCancel(ctx), expected, entries)
			}
		})
	}},
	{"does not say that a cancelled append had no effect", []string{"Cancelled"}, func(p *memPlaces) Logs {
		return p.logs().spoil(func(b *badLog) {
			b.append = func(ctx context.Context, expected storage.SeqNo, entries [][]byte) ([]storage.SeqNo, error) {
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
				return b.Log.Append(ctx, expected, entries)
			}
		})
	}},
	{"shows an entry that nobody appended", []string{"Readers", "ConcurrentReaders", "Empty", "ReaderFirst"}, func(p *memPlaces) Logs {
		return p.logs().spoil(func(b *badLog) {
			b.read = func(ctx context.Context, after storage.SeqNo) iter.Seq2[storage.Entry, error] {
				return func(yield func(storage.Entry, error) bool) {
					next := after + 1
					for entry, err := range b.Log.Read(ctx, after) {
						next = entry.SeqNo + 1
						if !yield(entry, err) {
							return
						}
					}
					yield(storage.Entry{SeqNo: next, Data: bytes.Repeat([]byte{1}, 8)}, nil)
				}
			}
		})
	}},
	{"loses every fifth entry", []string{"ConcurrentReaders", "ConcurrentTruncate"}, func(p *memPlaces) Logs {
		return p.logs().spoil(func(b *badLog) {
			b.respond(func(e storage.Entry) (storage.Entry, bool) { return e, e.SeqNo%5 != 0 })
		})
	}},
	{"shows readers what was there when they were opened", []string{"Readers", "ReaderFirst", "ConcurrentReaders"}, func(p *memPlaces) Logs {
		open := p.logs()
		openReader := open.OpenReader
		open.OpenReader = func(ctx context.Context, path string) (storage.LogReader, error) {
			reader, err := openReader(ctx, path)
			if err != nil {
				return nil, err
			}
			then, err := reader.Bounds(ctx)
			bad := &badLog{Log: readOnly{reader}}
			bad.respond(func(e storage.Entry) (storage.Entry, bool) { return e, e.SeqNo <= then.Last })
			return bad, err
		}
		return open
	}},
	{"does not open a reader before the writer", []string{"ReaderFirst"}, func(p *memPlaces) Logs {
		open := p.logs()
		openReader := open.OpenReader
		open.OpenReader = func(ctx context.Context, path string) (storage.LogReader, error) {
			p.mu.Lock()
			_, ok := p.byPath[path]
			p.mu.Unlock()
			if !ok {
				return nil, storage.ErrNotFound
			}
			return openReader(ctx, path)
		}
		return open
	}},
	{"does not hold", []string{"Hold"}, func(p *memPlaces) Logs {
		open := p.logs()
		openReader := open.OpenReader
		open.OpenReader = func(ctx context.Context, path string) (storage.LogReader, error) {
			reader, err := openReader(ctx, path)
			return forgetful{reader}, err
		}
		return open
	}},
}

// forgetful is a reader that holds nothing.
type forgetful struct{ storage.LogReader }

func (forgetful) Hold(context.Context, storage.SeqNo) {}

func TestLogSuiteCatchesFaults(t *testing.T) {
	caught := map[string]bool{}
	for _, fault := range logFaults {
		t.Run(fault.name, func(t *testing.T) {
			open := fault.open(&memPlaces{})
			requireCaught(t, logChecks(open), fault.caught)
		})
		for _, name := range fault.caught {
			caught[name] = true
		}
	}
	requireAllCaught(t, logChecks(Logs{}), caught)
}

func logChecks(open Logs) map[string]func(testing.TB) {
	checks := map[string]func(testing.TB){}
	for _, check := range logTests {
		checks[check.name] = func(t testing.TB) { check.run(t, open) }
	}
	return checks
}

// A log without readers, and one whose lock dies with its process, pass.
func TestLogSuiteAcceptsVariants(t *testing.T) {
	plain := (&memPlaces{}).logs()
	plain.OpenReader = nil
	plain.Features = Features{}
	openLog := plain.Open
	var mu sync.Mutex
	holders := map[string]storage.LockInfo{}
	plain.Open = func(ctx context.Context, path string, lock storage.LockInfo) (storage.Log, error) {
		mu.Lock()
		defer mu.Unlock()
		if holder, ok := holders[path]; ok {
			return nil, &storage.LockedError{Location: path, Holder: holder}
		}
		log, err := openLog(ctx, path, lock)
		if err != nil {
			return nil, err
		}
		holders[path] = lock
		release := sync.OnceFunc(func() { delete(holders, path) })
		return &badLog{Log: log, close: func() error {
			mu.Lock()
			defer mu.Unlock()
			release()
			return log.Close()
		}}, nil
	}
	skipped := 0
	for name, check := range logChecks(plain) {
		r := observe(t, check)
		require.False(t, r.failed, "%s: %v", name, r.messages)
		if r.skipped {
			skipped++
		}
	}
	require.Equal(t, 6, skipped, "what needs readers, TooLarge, and Sizer")

	fencing := (&memPlaces{}).logs()
	fencing.Features = Features{Exclusion: Fence}
	openFencing := fencing.Open
	fencing.Open = func(ctx context.Context, path string, _ storage.LockInfo) (storage.Log, error) {
		return openFencing(ctx, path, alice)
	}
	for name, check := range logChecks(fencing) {
		r := observe(t, check)
		require.False(t, r.failed, "%s: %v", name, r.messages)
	}
}
