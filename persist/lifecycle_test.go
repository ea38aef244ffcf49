package persist_test

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/internal/proof"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// messages is a logger that hands its warnings over.
type messages chan slog.Record

func (m messages) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }
func (m messages) WithAttrs([]slog.Attr) slog.Handler               { return m }
func (m messages) WithGroup(string) slog.Handler                    { return m }
func (m messages) Handle(_ context.Context, record slog.Record) error {
	m <- record
	return nil
}

// collect collects garbage until a warning is logged.
func (m messages) collect(t *testing.T) string {
	for range 2000 {
		runtime.GC()
		select {
		case record := <-m:
			return record.Message
		default:
			runtime.Gosched()
		}
	}
	t.Fatal("it was not collected, or without a warning")
	return ""
}

// TestForgotten: what nobody closes is closed when it is garbage, with a warning.
func TestForgotten(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		logged := make(messages, 16)
		cfg := onDemand()
		cfg.Logger = slog.New(logged)
		// Functions of their own, so that no variable keeps what they forget.
		func() {
			c, err := p.open(t.Context(), cfg)
			require.NoError(t, err)
			w, r, err := persist.CreateOrLoad(t.Context(), c, "s", codec.String, codec.String)
			require.NoError(t, err)
			must(t, w.Write(t.Context(), twoUpdates))
			func() {
				s, err := r.Snapshot(t.Context())
				require.NoError(t, err)
				require.Len(t, read(t, s), 2)
			}()
			require.Contains(t, logged.collect(t), "snapshot was forgotten")
			func() {
				s, l, err := r.Listen(t.Context())
				require.NoError(t, err)
				require.NoError(t, s.Close())
				must(t, w.Write(t.Context(), twoUpdates))
				next(t, l)
			}()
			require.Contains(t, logged.collect(t), "listener was forgotten")
			must(t, w.Write(t.Context(), twoUpdates)) // everything else goes on
			require.NoError(t, c.Clone().Close())
			runtime.KeepAlive(c)
		}()
		require.Contains(t, logged.collect(t), "client was forgotten")

		// The last owner has gone, so the runtime stops, and its place is free.
		for {
			c, err := p.open(t.Context(), onDemand())
			if err == nil {
				require.NoError(t, c.Stop())
				return
			}
			require.ErrorIs(t, err, persist.ErrLocked)
			runtime.Gosched()
		}
	})
}

// TestHandleKeepsRuntime: a client is not forgotten while one of its handles is used.
func TestHandleKeepsRuntime(t *testing.T) {
	p := kinds[0].make(t)
	logged := make(messages, 16)
	cfg := onDemand()
	cfg.Logger = slog.New(logged)
	func() {
		w, r := func() (*writer, *reader) {
			c, err := p.open(t.Context(), cfg)
			require.NoError(t, err)
			return create(t, c, "s")
		}()
		for range 3 {
			runtime.GC()
			must(t, w.Write(t.Context(), twoUpdates[:1]))
		}
		s, err := r.Snapshot(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 3, read(t, s)[0].Diff)
		require.NoError(t, s.Close())
		require.Empty(t, logged)
	}()
	require.Contains(t, logged.collect(t), "client was forgotten")
}

// TestOwners: the last one who closes stops the runtime; Stop does so for all.
func TestOwners(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		c := start(t, p, onDemand())
		w, r := create(t, c, "s")
		second := c.Clone()
		third := second.Clone()
		require.NoError(t, second.Close())
		require.NoError(t, second.Close(), "a second time it gives nobody else up")
		require.NoError(t, c.Close())
		must(t, w.Write(t.Context(), twoUpdates))
		s, l := listen(t, r)

		require.NoError(t, third.Close())
		for range 2 {
			require.NoError(t, third.Stop())
			require.NoError(t, c.Close())
			require.NoError(t, c.Stop())
		}
		_, err := l.Next(t.Context())
		require.ErrorIs(t, err, persist.ErrStopped)
		require.NoError(t, l.Close())
		require.NoError(t, l.Close())
		_, err = l.Next(t.Context())
		require.Error(t, err)
		require.NoError(t, s.Close())
		require.NoError(t, s.Close())
		_, _, err = r.Listen(t.Context())
		require.ErrorIs(t, err, persist.ErrStopped)
		require.ErrorIs(t, c.Maintain(t.Context()), persist.ErrStopped)
		_, err = c.Streams(t.Context())
		require.ErrorIs(t, err, persist.ErrStopped)
		_, err = c.Destroy(t.Context(), "s")
		require.ErrorIs(t, err, persist.ErrStopped)
		create(t, start(t, p, onDemand()), "s")

		other := startRead(t, p, onDemand())
		clone := other.Clone()
		require.Equal(t, other.ID(), clone.ID())
		require.NoError(t, other.Close())
		_, err = clone.Streams(t.Context())
		require.NoError(t, err)
		require.NoError(t, clone.Stop())
		_, err = other.Description(t.Context(), "s")
		require.ErrorIs(t, err, persist.ErrStopped)
	})
}

// TestStopUnderLoad stops a runtime in the middle of everything. Whatever was
// acknowledged is there afterwards, and what was refused is not.
func TestStopUnderLoad(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		var want int64
		for range proof.Pick(10, 50, 200) {
			c, err := p.open(t.Context(), tiny())
			require.NoError(t, err)
			w, r := create(t, c, "s")
			require.Equal(t, want, count(t, r))
			var mu sync.Mutex
			var users sync.WaitGroup
			acknowledged := make(chan struct{}, 64)
			for range 4 {
				users.Go(func() {
					for {
						if _, err := w.Write(t.Context(), twoUpdates[:1]).Wait(t.Context()); err != nil {
							return
						}
						mu.Lock()
						want++
						mu.Unlock()
						select {
						case acknowledged <- struct{}{}:
						default:
						}
					}
				})
				users.Go(func() {
					for {
						s, l, err := r.Listen(t.Context())
						if err != nil {
							return
						}
						_, _ = s.ReadToEnd(t.Context())
						_, _ = l.Next(t.Context())
						_, _ = s.Close(), l.Close()
					}
				})
				users.Go(func() {
					for c.Maintain(t.Context()) == nil {
						runtime.Gosched()
					}
				})
			}
			for range 20 {
				<-acknowledged
			}
			require.NoError(t, c.Stop())
			users.Wait()
		}
	})
}

// count returns the sum of a stream's diffs.
func count(t *testing.T, r *reader) (sum int64) {
	for _, u := range contents(t, r) {
		sum += u.Diff
	}
	return sum
}
