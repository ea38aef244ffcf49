package file

import (
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/internal/proof"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

// full is a location that a runtime is at work on, on a disk that can be filled up.
type full struct {
	t    *testing.T
	m    *disk.Disk
	db   *persist.Client
	w    *rowWriter
	hist history
	size int // of the rows
}

// fill leaves that many bytes of room; space makes room again.
func (f *full) fill(room int) {
	f.m.Alone(func() { f.m.Capacity = f.m.Used() + room })
}

func (f *full) space() {
	f.m.Alone(func() { f.m.Capacity = 0 })
}

// fillAfter fills the disk up when a blob got its name.
func (f *full) fillAfter(name string) {
	named := false
	f.m.SetHook(func(op, on string) error {
		if named && f.m.Capacity == 0 {
			f.m.Capacity = f.m.Used()
		}
		named = named || op == "rename" && strings.Contains(on, name)
		return nil
	})
}

func (f *full) open() error {
	db, err := startOwner(f.m, quietConfig())
	if err != nil {
		return err
	}
	w, _, err := persist.CreateOrLoad(ctx0, db, "a", codec.String, codec.Uint64)
	require.NoError(f.t, err)
	if len(f.hist.sure) == 0 {
		f.hist.add(created("a"))
	}
	f.db, f.w = db, w
	return nil
}

func (f *full) write() error {
	at := f.hist.now.upper("a")
	rows := []rowUpdate{{Key: strings.Repeat("k", f.size), Time: at, Diff: 1}}
	_, err := f.w.CompareAndAppend(ctx0, rows, frontier.At(at), frontier.At(at+1)).Wait(ctx0)
	synctest.Wait()
	if err == nil {
		f.hist.add(together(wrote("a", rows), sealed("a", at+1)))
	}
	return err
}

// require reads everything, also beside the runtime: what was acknowledged, as ever.
func (f *full) require(when string) {
	f.t.Helper()
	text, _, err := readStore(ctx0, f.db, createIn(ctx0, f.db))
	require.NoError(f.t, err, "reading %s", when)
	require.Equal(f.t, f.hist.now.String(), text, when)
	c, err := startFollower(f.m, quietConfig())
	require.NoError(f.t, err, "following %s", when)
	text, _, err = readStore(ctx0, c, loadFrom(ctx0, c))
	require.NoError(f.t, err, "reading beside the writer %s", when)
	require.Equal(f.t, f.hist.now.String(), text, when)
	require.NoError(f.t, c.Close())
}

// release lets go of history: a command like others, which takes no room that was
// not reserved.
func (f *full) release() error {
	at := f.hist.now.upper("a")
	_, err := f.w.AllowCompaction(ctx0, frontier.At(at-1)).Wait(ctx0)
	synctest.Wait()
	if err == nil {
		f.hist.add(compacted("a", at-1))
	}
	return err
}

func (f *full) requireRefused(err error, what string) {
	f.t.Helper()
	require.ErrorIs(f.t, err, syscall.ENOSPC, what)
	require.ErrorIs(f.t, err, storage.ErrNoEffect, what)
}

// A disk that is full is a state that a runtime leaves without a restart, wherever it
// is met. While it lasts writes are refused, without effect, and reads go on; so do
// commands for which there is room already, such as the release of history.
func TestFullDiskIsLeft(t *testing.T) {
	type scenario struct {
		name string
		room int // bytes left
		// meet works until the disk is full, and returns the error that says so.
		meet func(f *full) error
		// mutates: the error is a command's, so it says that there was no effect.
		mutates bool
		where   string // in the error
		after   string // full as soon as a file got a name with this
	}
	untilRefused := func(f *full) (err error) {
		for range 200 {
			if err = f.write(); err != nil {
				return err
			}
		}
		return nil
	}
	maintain := func(f *full) error { return f.db.Maintain(ctx0) }
	// The merge goroutine may have merged before the disk is full. Then once more.
	merge := func(f *full) (err error) {
		for range 20 {
			if err = f.db.Maintain(ctx0); err != nil {
				return err
			}
			f.m.SetHook(nil)
			f.space()
			for range 2 {
				require.NoError(f.t, f.db.Maintain(ctx0))
				require.NoError(f.t, f.write())
			}
			f.fillAfter("manifest")
		}
		return nil
	}
	scenarios := []scenario{
		{"in the log: the next segment", 0, untilRefused, true, "fill segment", ""},
		{"in the log: half of the next segment", 9000, untilRefused, true, "fill segment", ""},
		{"in a batch", 0, maintain, false, "to its trace: write batch/", ""},
		{"in a batch: half of it", 400, maintain, false, "to its trace: write batch/", ""},
		{"in the manifest", 0, maintain, false, "write manifest/edit-", "batch"},
		{"in a merge", 0, merge, false, "merge batches", "manifest"},
	}
	met := 0
	for _, s := range scenarios {
		sizes := []int{10}
		if s.mutates {
			sizes = append(sizes, 3000)
		}
		for _, size := range sizes {
			t.Run(strings.NewReplacer(" ", "-", ":", "").Replace(s.name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := &full{t: t, m: disk.New(), size: size}
					require.NoError(t, f.open())
					t.Cleanup(func() { f.space(); _ = f.db.Close() })
					for range 3 {
						require.NoError(t, f.write())
					}
					if s.after == "" {
						f.fill(s.room)
					} else { // there is another batch to be merged with
						require.NoError(t, f.db.Maintain(ctx0))
						require.NoError(t, f.write())
						f.fillAfter(s.after)
					}
					err := s.meet(f)
					require.ErrorIs(t, err, syscall.ENOSPC, "the disk was not full")
					require.Contains(t, err.Error(), s.where)
					require.Contains(t, err.Error(), "/db", "the error names no file")
					f.m.SetHook(nil)
					if s.mutates {
						f.requireRefused(err, "write")
						f.fill(0)
						f.requireRefused(f.write(), "another write")
					} else {
						f.fill(0)
						require.ErrorIs(t, f.db.Maintain(ctx0), syscall.ENOSPC)
						require.NoError(t, f.release(), "there is room in the log")
					}
					f.require("while the disk is full")
					require.Empty(t, f.m.Names(tempPrefix), "unfinished files take room")

					f.space()
					require.NoError(t, f.write(), "there is room again")
					require.NoError(t, f.release())
					require.NoError(t, f.db.Maintain(ctx0))
					f.require("when there is room again")
					require.NoError(t, f.db.Close())
					cut := f.m.Crash(nil, 0)
					require.NoError(t, f.open())
					f.require("after opening again")
					require.NoError(t, f.db.Close())
					f.m = cut
					require.NoError(t, f.open())
					f.require("after a power cut")
					require.NoError(t, f.db.Close())
				})
				met++
			})
		}
	}
	t.Run("when-it-is-opened", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := &full{t: t, m: disk.New(), size: 100}
			require.NoError(t, f.open())
			for range 3 {
				require.NoError(t, f.write())
			}
			require.NoError(t, f.db.Close())
			// Also if a tail has to be cut, and there is no room to keep it.
			end := groups(t, f.m, 1)
			copy(f.m.Edit(seg(1))[end[len(end)-1].off:], strings.Repeat("torn", 20))
			f.fill(0)
			require.NoError(t, f.open(), "opening needs no room")
			f.require("while the disk is full")
			require.NoError(t, f.write(), "there is room in the segment")
			f.space()
			require.NoError(t, f.db.Maintain(ctx0))
			f.require("when there is room again")
			require.NoError(t, f.db.Close())
		})
		met++
	})
	t.Run("when-it-is-made", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := &full{t: t, m: disk.New(), size: 100}
			f.m.Capacity = 100
			require.ErrorIs(t, f.open(), syscall.ENOSPC)
			require.Zero(t, f.m.Handles())
			f.space()
			require.NoError(t, f.open())
			require.NoError(t, f.write())
			f.require("when there is room")
			require.NoError(t, f.db.Close())
		})
		met++
	})
	if !t.Failed() {
		proof.Reached(t, 5, "scenarios of a full disk in memory", met)
	}
}
