package persist_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// TestListenerOfDestroyedStream falls behind, so far that the log has to keep what
// it has not heard, and hears it all the same before it hears of the end.
func TestListenerOfDestroyedStream(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		cfg := onDemand()
		cfg.ListenerWindowBytes = 1
		c := start(t, p, cfg)
		w, r := create(t, c, "s")
		other, _ := create(t, c, "other")
		_, l := listen(t, r)
		for i := range 10 {
			must(t, w.Write(t.Context(), []update{up(fmt.Sprint(i), "", 1, 1)}))
		}
		destroyed, err := c.Destroy(t.Context(), "s")
		require.NoError(t, err)
		require.True(t, destroyed)
		must(t, other.Write(t.Context(), []update{up("x", "", 1, 1)}))
		require.NoError(t, c.Maintain(t.Context()))

		for i := range 10 {
			require.Equal(t, []update{up(fmt.Sprint(i), "", 1, 1)}, next(t, l).Updates)
		}
		_, err = l.Next(t.Context())
		require.ErrorIs(t, err, persist.ErrDestroyed)
	})
}

// TestListenerOfQuietStream waits while the log moves on with other streams and is
// truncated. What its stream gets then is more than the window holds, so it has to
// come from what is left of the log.
func TestListenerOfQuietStream(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		cfg := onDemand()
		cfg.ListenerWindowBytes = 1
		c := start(t, p, cfg)
		w, r := create(t, c, "quiet")
		other, _ := create(t, c, "busy")
		_, l := listen(t, r)
		for i := range 10 {
			must(t, other.Write(t.Context(), []update{up("x", "", 1, 1)}))
			require.NoError(t, c.Maintain(t.Context()))
			if i%3 == 2 {
				at := must(t, w.Write(t.Context(), []update{up("a", "", 1, 1)}))
				require.Equal(t, event{Updates: []update{up("a", "", 1, 1)}, SeqNo: at}, next(t, l))
			}
		}
	})
}

// A listener that was closed delivers nothing more, also not what it had taken before.
func TestListenerEndsAtClose(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		c := start(t, p, onDemand())
		w, r := create(t, c, "s")
		_, l := listen(t, r)
		for i := range uint64(100) {
			must(t, w.Write(t.Context(), []update{up("a", "", i, 1)}))
		}
		_, err := l.Next(t.Context())
		require.NoError(t, err)
		require.NoError(t, l.Close())
		_, err = l.Next(t.Context())
		require.ErrorIs(t, err, persist.ErrClosed)
	})
}

// A Next in the middle of Close skips nothing: it delivers what follows what was delivered
// before, or the end.
func TestListenerSkipsNothingAtClose(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		c := start(t, p, onDemand())
		w, r := create(t, c, "s")
		_, l := listen(t, r)
		write := func(at uint64) { must(t, w.Write(t.Context(), []update{up("a", "", at, 1)})) }
		for at := range uint64(3) {
			write(at)
		}
		require.Equal(t, []update{up("a", "", 0, 1)}, next(t, l).Updates) // and has taken the others
		write(3)
		l.OnClose(func() { require.Equal(t, []update{up("a", "", 1, 1)}, next(t, l).Updates) })
		require.NoError(t, l.Close())
		_, err := l.Next(t.Context())
		require.ErrorIs(t, err, persist.ErrClosed)
	})
}

// Next and NextRaw may be mixed: each event goes to one call, whether its updates can be
// decoded or not, and rows stay as they are.
func TestNextRaw(t *testing.T) {
	picky := codec.Func("string", codec.String.Append, func(src []byte) (string, error) {
		if string(src) == "bad" {
			return "", errors.New("refused")
		}
		return string(src), nil
	})
	const commands = 5 // of two updates, the second of which cannot be decoded
	onPlaces(t, func(t *testing.T, p place) {
		for _, window := range []int64{1, 0} { // events come from the log, or from memory
			cfg := onDemand()
			cfg.ListenerWindowBytes = window
			c := start(t, p, cfg)
			w, r, err := persist.CreateOrLoad(t.Context(), c, "s", picky, picky)
			require.NoError(t, err)
			d, err := r.Description(t.Context())
			require.NoError(t, err)
			now, _ := d.Upper.Elem()
			for _, calls := range []string{"r", "n", "rn", "nr", "nnr", "rrn"} {
				_, l, err := r.Listen(t.Context())
				require.NoError(t, err)
				var want, got []string
				refused := false // an error is left of the newest event
				for i := range commands {
					time := now + uint64(i)
					must(t, w.Write(t.Context(), []update{up("a", "x", time, 1), up("bad", "y", time, 2)}))
					must(t, w.Seal(t.Context(), time+1))
				}
				var rows []persist.Row
				for call, events := 0, 0; events < 2*commands || refused; call++ {
					time := now + uint64(events/2)
					raw := calls[call%len(calls)] == 'r'
					switch {
					case refused:
						want = append(want, fmt.Sprintf("refused at %d", time))
						refused = false
					case events%2 == 1:
						want = append(want, fmt.Sprintf("sealed {%d}", time+1))
						events++
					case raw:
						want = append(want, fmt.Sprintf("a x %d 1", time), fmt.Sprintf("bad y %d 2", time))
						events++
					default:
						want = append(want, fmt.Sprintf("a x %d 1", time))
						refused = true
						events++
					}
					e, err := persist.ListenEvent[string, string]{}, error(nil)
					if raw {
						var heard persist.RawEvent
						heard, err = l.NextRaw(t.Context())
						e.Sealed = heard.Sealed
						if heard.Rows != nil {
							e.Updates = []update{}
							for row := range heard.Rows {
								e.Updates = append(e.Updates, up(string(row.Key), string(row.Val), row.Time, row.Diff))
								rows = append(rows, row)
							}
						}
					} else {
						e, err = l.Next(t.Context())
					}
					var decode *persist.DecodeError
					switch {
					case errors.As(err, &decode):
						got = append(got, fmt.Sprintf("refused at %d", decode.Time))
						continue
					case err == nil && e.Updates == nil:
						got = append(got, fmt.Sprintf("sealed %s", e.Sealed))
					}
					require.NoError(t, err)
					for _, u := range e.Updates {
						got = append(got, fmt.Sprintf("%s %s %d %d", u.Key, u.Val, u.Time, u.Diff))
					}
				}
				require.Equal(t, want, got, calls)
				now += commands
				require.NoError(t, l.Close())
				for _, row := range rows {
					require.Contains(t, want, fmt.Sprintf("%s %s %d %d", row.Key, row.Val, row.Time, row.Diff))
				}
				_, err = l.NextRaw(t.Context())
				require.ErrorIs(t, err, persist.ErrClosed)
			}
			require.NoError(t, c.Stop())
		}
	})
}

// A call that waits for another one ends with its own context.
func TestNextBehindAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := mem.NewRegistry().Runtime(t.Context(), onDemand())
		require.NoError(t, err)
		_, r := create(t, c, "s")
		_, l := listen(t, r)
		first := make(chan error, 1)
		go func() {
			_, err := l.NextRaw(t.Context())
			first <- err
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = l.Next(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, err = l.NextRaw(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, l.Close())
		require.ErrorIs(t, <-first, persist.ErrClosed)
		require.NoError(t, c.Stop())
	})
}
