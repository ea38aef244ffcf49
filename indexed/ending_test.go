package indexed_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/storage"
)

const patience = 20 * time.Millisecond

// endsInTime calls with a context that lasts for a moment, and requires that the call ends
// with it, at that moment.
func endsInTime(t testing.TB, call func(ctx context.Context) error) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	began := time.Now()
	err := call(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, patience, time.Since(began))
	return err
}

// Every call that may wait for the storage, or for another call that does, ends with its
// context.
func TestCallsEndWithTheirContext(t *testing.T) {
	type call = func(f *fixture, id indexed.StreamID) func(ctx context.Context) error
	submit := func(f *fixture, ctx context.Context, id indexed.StreamID, val string) error {
		var c indexed.Command
		c.Write(id, columns(up(val, 100)))
		_, err := f.Submit(ctx, &c).Wait(ctx)
		return err
	}
	consume := func(ctx context.Context, s *indexed.Snapshot) (err error) {
		for _, e := range s.Consolidated(ctx) {
			err = e
		}
		return err
	}
	maintain := func(f *fixture, _ indexed.StreamID) func(ctx context.Context) error {
		return func(ctx context.Context) error { return f.Maintain(ctx) }
	}
	for name, test := range map[string]struct {
		stuck mem.Op
		// behind is a call without a limit that is stuck, behind which the other one waits.
		behind func(f *fixture, id indexed.StreamID)
		call   call
	}{
		"write": {stuck: mem.OpAppend, call: func(f *fixture, id indexed.StreamID) func(ctx context.Context) error {
			return func(ctx context.Context) error { return submit(f, ctx, id, "x") }
		}},
		"write to a full queue": {stuck: mem.OpAppend, call: func(f *fixture, id indexed.StreamID) func(ctx context.Context) error {
			for f.QueueDepth() < f.cfg.MaxQueuedCommands {
				var c indexed.Command
				c.Write(id, columns(up("q", 100)))
				f.Submit(context.Background(), &c)
				synctest.Wait()
			}
			return func(ctx context.Context) error { return submit(f, ctx, id, "x") }
		}},
		"write to a full tail": {call: func(f *fixture, id indexed.StreamID) func(ctx context.Context) error {
			for range 3 {
				f.write(id, up(string(make([]byte, f.cfg.MaxTailBytes/4)), 100))
			}
			return func(ctx context.Context) error {
				return submit(f, ctx, id, string(make([]byte, f.cfg.MaxTailBytes/3)))
			}
		}},
		"register": {stuck: mem.OpAppend, call: func(f *fixture, id indexed.StreamID) func(ctx context.Context) error {
			return func(ctx context.Context) error { _, err := f.Register(ctx, "new", "k", "v"); return err }
		}},
		"destroy": {stuck: mem.OpAppend, call: func(f *fixture, id indexed.StreamID) func(ctx context.Context) error {
			return func(ctx context.Context) error { _, err := f.Destroy(ctx, "s"); return err }
		}},
		"describe": {stuck: mem.OpAppend, behind: func(f *fixture, id indexed.StreamID) { _ = submit(f, context.Background(), id, "x") },
			call: func(f *fixture, id indexed.StreamID) func(ctx context.Context) error {
				return func(ctx context.Context) error { _, err := f.Describe(ctx, "s"); return err }
			}},
		"streams": {stuck: mem.OpAppend, behind: func(f *fixture, id indexed.StreamID) { _ = submit(f, context.Background(), id, "x") },
			call: func(f *fixture, id indexed.StreamID) func(ctx context.Context) error {
				return func(ctx context.Context) error { _, err := f.Streams(ctx); return err }
			}},
		"snapshot": {stuck: mem.OpAppend, behind: func(f *fixture, id indexed.StreamID) { _ = submit(f, context.Background(), id, "x") },
			call: func(f *fixture, id indexed.StreamID) func(ctx context.Context) error {
				return func(ctx context.Context) error { _, err := f.Snapshot(ctx, id); return err }
			}},
		"listen": {stuck: mem.OpAppend, behind: func(f *fixture, id indexed.StreamID) { _ = submit(f, context.Background(), id, "x") },
			call: func(f *fixture, id indexed.StreamID) func(ctx context.Context) error {
				return func(ctx context.Context) error { _, _, err := f.Listen(ctx, id); return err }
			}},
		"next behind next": {
			call: func(f *fixture, id indexed.StreamID) func(ctx context.Context) error {
				s, l, err := f.Listen(f.ctx, id)
				require.NoError(f, err)
				require.NoError(f, s.Close())
				go func() { _, _ = l.Next(context.Background()) }()
				synctest.Wait()
				return func(ctx context.Context) error { _, err := l.Next(ctx); return err }
			}},
		"read": {stuck: mem.OpGet, call: func(f *fixture, id indexed.StreamID) func(ctx context.Context) error {
			return func(ctx context.Context) error {
				s, err := f.Snapshot(ctx, id)
				require.NoError(f, err)
				defer s.Close()
				return consume(ctx, s)
			}
		}},
		"read behind read": {stuck: mem.OpGet,
			behind: func(f *fixture, id indexed.StreamID) {
				s, err := f.Snapshot(context.Background(), id)
				require.NoError(f, err)
				defer s.Close()
				_ = consume(context.Background(), s)
			},
			call: func(f *fixture, id indexed.StreamID) func(ctx context.Context) error {
				return func(ctx context.Context) error {
					s, err := f.Snapshot(ctx, id)
					require.NoError(f, err)
					defer s.Close()
					return consume(ctx, s)
				}
			}},
		"maintain, flush":    {stuck: mem.OpSet, call: maintain},
		"maintain, manifest": {stuck: mem.OpSetIf, call: maintain},
		"maintain, truncate": {stuck: mem.OpTruncate, call: maintain},
		"maintain, delete": {stuck: mem.OpDelete, call: func(f *fixture, id indexed.StreamID) func(ctx context.Context) error {
			_, err := f.Destroy(f.ctx, "old")
			require.NoError(f, err)
			return maintain(f, id)
		}},
		"maintain behind a round": {stuck: mem.OpSet,
			behind: func(f *fixture, _ indexed.StreamID) { _ = f.Round(context.Background(), true) }, call: maintain},
		"maintain behind maintain": {stuck: mem.OpDelete,
			behind: func(f *fixture, _ indexed.StreamID) {
				_, err := f.Destroy(f.ctx, "old")
				require.NoError(f, err)
				_ = f.Maintain(context.Background())
			}, call: maintain},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := still()
				cfg.MaxQueuedCommands, cfg.MaxTailBytes = 16, 64<<10
				f := newFixture(t, cfg)
				id, old := f.register("s"), f.register("old")
				f.write(old, up("a", 1))
				f.write(id, up("a", 1))
				f.round(true)
				f.write(id, up("b", 2))
				var gate *mem.Gate
				if test.stuck != "" {
					gate = f.faults.GateBefore(test.stuck)
				}
				if test.behind != nil {
					go test.behind(f, id)
					synctest.Wait()
				}
				endsInTime(t, test.call(f, id))
				if gate != nil {
					gate.Open()
				}
				require.NoError(t, f.Stop())
			})
		})
	}
}

func TestOpeningsEndWithTheirContext(t *testing.T) {
	for _, op := range []mem.Op{mem.OpGet, mem.OpGetRange, mem.OpList, mem.OpBounds, mem.OpRead} {
		t.Run(string(op), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, still())
				id := f.register("s")
				f.write(id, up("a", 1))
				f.round(true)
				f.PreferBase()
				f.write(id, up("b", 1))
				f.round(true)
				require.NoError(t, f.Stop())
				gate := f.faults.GateBefore(op)
				endsInTime(t, func(ctx context.Context) error {
					log, blob := f.storage()
					_, err := indexed.Open(ctx, log, blob, f.cfg)
					return err
				})
				endsInTime(t, func(ctx context.Context) error {
					log, blob := f.readers()
					_, err := indexed.OpenRead(ctx, log, blob, f.cfg)
					return err
				})
				gate.Open()
				f.open()
			})
		})
	}
}

// So do those of a follower, also behind a refresh that has no limit.
func TestFollowersCallsEndWithTheirContext(t *testing.T) {
	for _, op := range []mem.Op{mem.OpGet, mem.OpGetRange, mem.OpRead} {
		for _, behind := range []bool{false, true} {
			t.Run(string(op), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newFixture(t, still())
					id := f.register("s")
					f.write(id, up("a", 1))
					f.round(true)
					log, blob := f.readers()
					r, err := indexed.OpenRead(t.Context(), log, blob, f.cfg)
					require.NoError(t, err)
					gate := f.faults.GateBefore(op)
					if behind {
						go func() { _ = r.Refresh(context.Background()) }()
						synctest.Wait()
					}
					for _, call := range []func(ctx context.Context) error{
						r.Refresh,
						func(ctx context.Context) error { _, err := r.Describe(ctx, "s"); return err },
						func(ctx context.Context) error { _, err := r.Streams(ctx); return err },
						func(ctx context.Context) error { _, err := r.Lookup(ctx, "s", "k", "v"); return err },
						func(ctx context.Context) error { _, err := r.Snapshot(ctx, id); return err },
						func(ctx context.Context) error { _, _, err := r.Listen(ctx, id); return err },
					} {
						endsInTime(t, call)
					}
					if behind {
						err := endsInTime(t, r.Shutdown)
						require.ErrorContains(t, err, "a refresh waits for the storage")
					}
					gate.Open()
					require.NoError(t, r.Stop())
				})
			})
		}
	}
}

func (f *fixture) readers() (storage.LogReader, storage.BlobReader) {
	return f.faults.LogReader(f.place.OpenLogReader()), f.faults.BlobReader(f.place.OpenBlobReader())
}

// stuckLog and stuckBlob hang, and do not look at contexts meanwhile, as a disk does.
type stuckLog struct {
	storage.Log
	append, close chan struct{}
}

func (l stuckLog) Append(ctx context.Context, expected storage.SeqNo, entries [][]byte) ([]storage.SeqNo, error) {
	<-l.append
	return l.Log.Append(ctx, expected, entries)
}

func (l stuckLog) Close() error { <-l.close; return l.Log.Close() }

type stuckBlob struct {
	storage.Blob
	set, close chan struct{}
}

func (b stuckBlob) Set(ctx context.Context, key string, value []byte) (storage.Version, error) {
	<-b.set
	return b.Blob.Set(ctx, key, value)
}

func (b stuckBlob) Close() error { <-b.close; return b.Blob.Close() }

// A runtime whose storage hangs goes on stopping when nobody waits any more; whoever asks
// later waits for the same end, and what was submitted before is committed.
func TestShutdownEndsWithItsContext(t *testing.T) {
	for stuck, want := range map[string]string{
		"append":     "commands that were submitted before wait for the log",
		"set":        "a flush, a merge or a deletion waits for the storage",
		"close log":  "the log is being closed",
		"close blob": "the blob store is being closed",
	} {
		t.Run(stuck, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fixture{TB: t, ctx: t.Context(), place: mem.NewPlace("p"), faults: mem.NewUnreliable()}
				log, blob := f.storage()
				free, held := make(chan struct{}), make(chan struct{})
				close(free)
				hang := func(what string) chan struct{} {
					if what == stuck {
						return held
					}
					return free
				}
				first := make(chan struct{}, 1) // the registration, and then as told
				l := stuckLog{log, first, hang("close log")}
				b := stuckBlob{blob, hang("set"), hang("close blob")}
				e, err := indexed.Open(f.ctx, l, b, indexed.Config{FlushInterval: time.Second, FlushBytes: 1, MinStepInterval: time.Second})
				require.NoError(t, err)
				f.Engine = e
				first <- struct{}{}
				id := f.register("s")
				var c indexed.Command
				c.Write(id, columns(up("a", 1)))
				future := e.Submit(f.ctx, &c)
				if stuck != "append" {
					first <- struct{}{}
					_, err := future.Wait(f.ctx)
					require.NoError(t, err)
				}
				<-time.After(time.Minute) // a flush is under way by now, or done
				if stuck == "set" {
					require.ErrorIs(t, endsInTime(t, e.Maintain), context.DeadlineExceeded)
				}
				for range 2 {
					require.ErrorContains(t, endsInTime(t, e.Shutdown), want)
				}
				ended, cancel := context.WithCancel(f.ctx)
				cancel()
				require.ErrorIs(t, e.Shutdown(ended), context.Canceled)
				stopped := make(chan error, 1)
				go func() { stopped <- e.Stop() }()
				synctest.Wait()
				require.Empty(t, stopped)
				close(held)
				if stuck == "append" {
					first <- struct{}{}
				}
				require.NoError(t, <-stopped)
				require.NoError(t, e.Shutdown(ended), "it has stopped")
				_, err = future.Wait(f.ctx)
				require.NoError(t, err)
				f.open()
				require.Equal(t, []string{"k=a @1 +1"}, show(f.read(id)))
				require.NoError(t, f.Stop())
			})
		})
	}
}
