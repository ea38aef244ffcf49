package file

import (
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

// opens are the operations that take a descriptor.
var opens = []string{"open", "openWrite", "create", "openDir", "list", "lock"}

// limited fails what takes a descriptor, from the nth such operation on, until it is
// lifted.
type limited struct {
	mu         sync.Mutex
	from, seen int
	op         string // that failed first
}

func (l *limited) hook(op, name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Contains(opens, op) {
		return nil
	}
	if l.seen++; l.from == 0 || l.seen < l.from {
		return nil
	}
	if l.op == "" {
		l.op = op + " " + name
	}
	return syscall.EMFILE
}

// lift frees descriptors, and reports whether any was missed.
func (l *limited) lift() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.from = 0
	return l.op != ""
}

// A store for which no descriptor is left, from any moment on, refuses what needs one
// without effect. Once there are some again everything goes on, in the same runtime:
// commands, flushes, merges, deletions, the end of a snapshot. What was acknowledged is
// there, also after a power cut.
func TestNoDescriptorsForAMoment(t *testing.T) {
	var met []string
	for from := 1; ; from++ {
		reached := false
		synctest.Test(t, func(t *testing.T) {
			f := &full{t: t, m: disk.New(), size: 3000}
			limit := &limited{from: from}
			// what is done until no descriptor is left, and again when there are some
			steps := []func() error{}
			var snapshot *persist.Snapshot[string, uint64]
			write := func() error {
				err := f.write()
				if err != nil {
					require.ErrorIs(t, err, storage.ErrNoEffect, "%s", limit.op)
				}
				return err
			}
			read := func() error {
				_, r, err := persist.CreateOrLoad(ctx0, f.db, "a", codec.String, codec.Uint64)
				require.NoError(t, err)
				s, err := r.Snapshot(ctx0)
				if err == nil {
					snapshot = s
				}
				return err
			}
			maintain := func() error { return f.db.Maintain(ctx0) }
			use := func() error { _, err := snapshot.ReadToEnd(ctx0); return err }
			steps = append(steps, f.open, write, write, write, maintain, read, use, write, write, maintain, f.release, maintain,
				func() error { return snapshot.Close() }, write, write, write, write, maintain, write, maintain)
			f.m.SetHook(limit.hook)
			for i, step := range steps {
				err := step()
				synctest.Wait()
				if limit.op == "" {
					require.NoError(t, err)
					continue
				}
				if err != nil {
					require.ErrorIs(t, err, syscall.EMFILE, "step %d", i)
				}
				if !reached {
					reached = true
					if err == nil && i < len(steps)-1 { // in the background, or at the next step
						continue
					}
				}
				limit.lift()
				f.m.SetHook(nil)
				if err != nil {
					require.NoError(t, step(), "step %d after %s: there are descriptors again", i, limit.op)
					synctest.Wait()
				}
			}
			f.m.SetHook(nil)
			require.NoError(t, write())
			require.NoError(t, maintain(), "after %s", limit.op)
			f.require("when there are descriptors again, after " + limit.op)
			var cut *disk.Disk
			f.m.Alone(func() { cut = f.m.Crash(nil, 0) })
			require.NoError(t, f.db.Close())
			f.m = cut
			require.NoError(t, f.open())
			f.require("after a power cut, after " + limit.op)
			require.NoError(t, f.db.Close())
			require.Zero(t, f.m.Handles())
			if reached {
				met = append(met, limit.op)
			}
		})
		if t.Failed() || !reached {
			break
		}
	}
	require.Greater(t, len(met), 30)
	for _, what := range []string{"create /db/log/tmp", "create /db/blob/tmp", "openDir /db", "lock /db/log/LOCK", "open /db/blob/data/batch", "list /db/log"} {
		require.True(t, slices.ContainsFunc(met, func(m string) bool { return strings.HasPrefix(m, what) }), "%q never failed: %q", what, met)
	}
}

// Nothing that durability needs is opened when it is needed.
func TestDurabilityNeedsNoDescriptor(t *testing.T) {
	m := disk.New()
	l := openMem(t, m)
	appendGroups(t, l, []int{3000}, []int{3000}, []int{3000}, []int{3000}, []int{3000}, []int{3000})
	b := openMemBlob(t, m)
	long := strings.Repeat("long", storage.MaxKeySize/4)
	for _, key := range []string{"a", long} {
		_, err := b.Set(ctx0, key, []byte("old"))
		require.NoError(t, err)
	}
	limit := &limited{from: 1}
	m.SetHook(limit.hook)
	require.NoError(t, l.Truncate(ctx0, 4), "the directory is open")
	require.NoError(t, b.Delete(ctx0, "a"))
	require.ErrorIs(t, b.Delete(ctx0, long), storage.ErrNoEffect)
	for _, key := range []string{"a", long, long[:storage.MaxKeySize-4] + "else"} {
		_, err := b.Set(ctx0, key, []byte("new"))
		require.ErrorIs(t, err, storage.ErrNoEffect)
		require.ErrorIs(t, err, syscall.EMFILE)
	}
	m.SetHook(nil)
	got := contents(t, b)
	require.Equal(t, map[string]string{long: "old"}, got)
	_, err := b.Set(ctx0, long, []byte("new"))
	require.NoError(t, err)
	require.Equal(t, "new", contents(t, b)[long])
	appendGroups(t, l, []int{3000}, []int{3000}, []int{3000})
	require.NoError(t, b.Close())
	require.NoError(t, l.Close())
}
