package persist_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

// TestErrors reaches every error of the package as a user would. Each says which
// stream it is about, what was asked for and what is in force. TestErrorsOfPlaces,
// TestMultiWriteHandle (ErrDifferentRuntimes) and TestListenerHoldsLog (ErrLagged)
// have the rest.
func TestErrors(t *testing.T) {
	wait := func(f *persist.Future[storage.SeqNo]) error {
		_, err := f.Wait(t.Context())
		return err
	}
	first := func(seq func(func(update, error) bool)) (err error) {
		for _, err = range seq {
			return err
		}
		return nil
	}
	// Each begins with a stream "s" with upper {5} and since {3}.
	for _, row := range []struct {
		name  string
		err   error
		words []string
		do    func(t *testing.T, c *persist.Client, w *writer, r *reader) error
	}{
		{"ErrSealed", persist.ErrSealed, []string{`"s"`, "time 4", "{5}"},
			func(t *testing.T, _ *persist.Client, w *writer, _ *reader) error {
				return wait(w.Write(t.Context(), []update{up("a", "", 7, 1), up("a", "", 4, 1)}))
			}},
		{"ErrSealed after Finish", persist.ErrSealed, []string{`"s"`, "time 9", "{}"},
			func(t *testing.T, _ *persist.Client, w *writer, _ *reader) error {
				must(t, w.Finish(t.Context()))
				return wait(w.Write(t.Context(), []update{up("a", "", 9, 1)}))
			}},
		{"ErrSealRegression", persist.ErrSealRegression, []string{`"s"`, "{4}", "{5}"},
			func(t *testing.T, _ *persist.Client, w *writer, _ *reader) error { return wait(w.Seal(t.Context(), 4)) }},
		{"ErrSinceRegression", persist.ErrSinceRegression, []string{`"s"`, "{2}", "{3}"},
			func(t *testing.T, _ *persist.Client, w *writer, _ *reader) error {
				return wait(w.AllowCompaction(t.Context(), frontier.At(2)))
			}},
		{"ErrAsOfBeforeSince", persist.ErrAsOfBeforeSince, []string{`"s"`, "time 2", "{3}"},
			func(t *testing.T, _ *persist.Client, _ *writer, r *reader) error {
				return first(take(t, r).AsOf(t.Context(), 2))
			}},
		{"ErrAsOfBeforeSince of Between", persist.ErrAsOfBeforeSince, []string{`"s"`, "{2}", "{3}"},
			func(t *testing.T, _ *persist.Client, _ *writer, r *reader) error {
				return first(take(t, r).Between(t.Context(), frontier.At(2), frontier.At(9)))
			}},
		{"ErrUpperMismatch", persist.ErrUpperMismatch, []string{`"s"`, "{6}", "{5}"},
			func(t *testing.T, _ *persist.Client, w *writer, _ *reader) error {
				return wait(w.CompareAndAppend(t.Context(), nil, frontier.At(6), frontier.At(7)))
			}},
		{"ErrInvalid interval", persist.ErrInvalid, []string{`"s"`, "{6}", "{5}"},
			func(t *testing.T, _ *persist.Client, w *writer, _ *reader) error {
				return wait(w.CompareAndAppend(t.Context(), nil, frontier.At(6), frontier.At(5)))
			}},
		{"ErrInvalid interval of updates", persist.ErrInvalid, []string{`"s"`, "{6}", "1 updates"},
			func(t *testing.T, _ *persist.Client, w *writer, _ *reader) error {
				return wait(w.CompareAndAppend(t.Context(), []update{up("a", "", 6, 1)}, frontier.At(6), frontier.At(6)))
			}},
		{"ErrInvalid time", persist.ErrInvalid, []string{`"s"`, "time 8", "{5}", "{8}"},
			func(t *testing.T, _ *persist.Client, w *writer, _ *reader) error {
				return wait(w.CompareAndAppend(t.Context(), []update{up("a", "", 8, 1)}, frontier.At(5), frontier.At(8)))
			}},
		{"ErrInvalid member", persist.ErrInvalid, []string{"id"},
			func(t *testing.T, c *persist.Client, w *writer, _ *reader) error {
				m, err := persist.NewMultiWriteHandle(w)
				require.NoError(t, err)
				return wait(m.Seal(t.Context(), []persist.StreamID{math.MaxUint64}, 9))
			}},
		{"ErrCodecMismatch", persist.ErrCodecMismatch, []string{`"s"`, `"bytes"`, `"string"`},
			func(t *testing.T, c *persist.Client, _ *writer, _ *reader) error {
				_, _, err := persist.CreateOrLoad(t.Context(), c, "s", codec.Bytes, codec.String)
				return err
			}},
		{"ErrUnknownStream", persist.ErrUnknownStream, []string{`"nobody"`},
			func(t *testing.T, c *persist.Client, _ *writer, _ *reader) error {
				_, err := c.Description(t.Context(), "nobody")
				return err
			}},
		{"ErrDestroyed", persist.ErrDestroyed, []string{`"s"`},
			func(t *testing.T, c *persist.Client, w *writer, _ *reader) error {
				_, err := c.Destroy(t.Context(), "s")
				require.NoError(t, err)
				return wait(w.Seal(t.Context(), 9))
			}},
		{"ErrStopped", persist.ErrStopped, []string{"open"},
			func(t *testing.T, c *persist.Client, w *writer, _ *reader) error {
				require.NoError(t, c.Stop())
				return wait(w.Seal(t.Context(), 9))
			}},
		{"ErrTooLarge", persist.ErrTooLarge, []string{"MaxTailBytes", "65536", `"s"`, `of key "kkk`},
			func(t *testing.T, _ *persist.Client, w *writer, _ *reader) error {
				return wait(w.Write(t.Context(), []update{up(strings.Repeat("k", 1<<16), "", 9, 1)}))
			}},
		{"ErrClosed snapshot", persist.ErrClosed, []string{`"s"`},
			func(t *testing.T, _ *persist.Client, _ *writer, r *reader) error {
				s := take(t, r)
				require.NoError(t, s.Close())
				_, err := s.ReadToEnd(t.Context())
				return err
			}},
		{"ErrClosed listener", persist.ErrClosed, []string{`"s"`},
			func(t *testing.T, _ *persist.Client, _ *writer, r *reader) error {
				_, l := listen(t, r)
				require.NoError(t, l.Close())
				_, err := l.Next(t.Context())
				return err
			}},
		{"context", context.Canceled, nil,
			func(t *testing.T, _ *persist.Client, w *writer, _ *reader) error {
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				return wait(w.Write(ctx, twoUpdates))
			}},
		{"ErrDecode", persist.ErrDecode, []string{`"bytes"`, "time 6"},
			func(t *testing.T, c *persist.Client, _ *writer, _ *reader) error {
				picky := codec.Func("bytes", codec.Bytes.Append,
					func([]byte) ([]byte, error) { return nil, errors.New("not for me") })
				w, r, err := persist.CreateOrLoad(t.Context(), c, "bytes", picky, codec.Unit)
				require.NoError(t, err)
				must(t, w.Write(t.Context(), []persist.Update[[]byte, struct{}]{{Time: 6, Diff: 1}}))
				s, err := r.Snapshot(t.Context())
				require.NoError(t, err)
				defer func() { require.NoError(t, s.Close()) }()
				_, err = s.ReadToEnd(t.Context())
				var decode *persist.DecodeError
				require.ErrorAs(t, err, &decode)
				require.EqualValues(t, 6, decode.Time)
				return err
			}},
	} {
		t.Run(row.name, func(t *testing.T) {
			cfg := onDemand()
			cfg.MaxTailBytes = 1 << 16
			c := start(t, kinds[0].make(t), cfg)
			w, r := create(t, c, "s")
			must(t, w.Seal(t.Context(), 5))
			must(t, w.AllowCompaction(t.Context(), frontier.At(3)))
			err := row.do(t, c, w, r)
			require.ErrorIs(t, err, row.err)
			for _, word := range row.words {
				require.ErrorContains(t, err, word)
			}
		})
	}
}

// TestErrorsOfPlaces reaches those that have to do with where the data is.
func TestErrorsOfPlaces(t *testing.T) {
	t.Run("ErrLocked", func(t *testing.T) {
		onPlaces(t, func(t *testing.T, p place) {
			start(t, p, onDemand())
			_, err := p.open(t.Context(), onDemand())
			require.ErrorIs(t, err, persist.ErrLocked)
			var locked *storage.LockedError
			require.ErrorAs(t, err, &locked)
			require.ErrorContains(t, err, locked.Location)
			require.NotEmpty(t, locked.Holder)
		})
	})
	t.Run("ErrCorrupt", func(t *testing.T) {
		dir := t.TempDir()
		c := start(t, filePlace(dir), onDemand())
		w, _ := create(t, c, "s")
		must(t, w.Write(t.Context(), twoUpdates))
		require.NoError(t, c.Maintain(t.Context()))
		require.NoError(t, c.Stop())
		var parquet string
		require.NoError(t, filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
			if strings.Contains(path, "parquet") {
				parquet = path
			}
			return err
		}))
		data, err := os.ReadFile(parquet)
		require.NoError(t, err)
		data[len(data)/2] ^= 1
		require.NoError(t, os.WriteFile(parquet, data, 0o600))

		_, r := create(t, start(t, filePlace(dir), onDemand()), "s")
		_, err = take(t, r).ReadToEnd(t.Context())
		require.ErrorIs(t, err, persist.ErrCorrupt)
		var corrupt *storage.CorruptError
		require.ErrorAs(t, err, &corrupt)
		require.ErrorContains(t, err, ".parquet")
		require.ErrorContains(t, err, `"s"`)
	})
	t.Run("ErrOutcomeUnknown", func(t *testing.T) {
		c, faults, _ := unreliable(t, onDemand())
		w, _ := create(t, c, "s")
		faults.Inject(mem.Fault{Op: mem.OpAppend, Outcome: mem.AnswerLost})
		err := refused(t, w.Write(t.Context(), twoUpdates))
		require.ErrorIs(t, err, persist.ErrOutcomeUnknown)
		require.ErrorIs(t, err, mem.ErrTimedOut, "with its cause")
		require.NotErrorIs(t, err, storage.ErrNoEffect)
	})
	t.Run("ErrReadOnly", func(t *testing.T) {
		registry := mem.NewRegistry()
		c := start(t, memPlace{registry}, onDemand())
		create(t, c, "s")
		require.NoError(t, c.Maintain(t.Context()))
		blind, err := persist.StartRead(t.Context(), registry.Place().OpenBlobReader(), onDemand())
		require.NoError(t, err)
		defer func() { require.NoError(t, blind.Stop()) }()
		_, _, err = load(t, blind, "s").Listen(t.Context())
		require.ErrorIs(t, err, persist.ErrReadOnly)
	})
	t.Run("ErrInvalid config", func(t *testing.T) {
		onPlaces(t, func(t *testing.T, p place) {
			_, err := p.open(t.Context(), persist.Config{PartBytes: -1})
			require.ErrorIs(t, err, persist.ErrInvalid)
			require.ErrorContains(t, err, "PartBytes")
			start(t, p, persist.Config{}) // the place was let go of
		})
	})
}
