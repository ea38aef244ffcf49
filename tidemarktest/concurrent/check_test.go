package concurrent_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/tidemarktest/concurrent"
)

// small is a run that takes a moment.
var small = concurrent.Options{Seed: 1, Operations: 200, Listeners: 4, Writers: 4}

// spectator is a test that fails without consequences.
type spectator struct {
	testing.TB
	said string
}

func (s *spectator) Helper()                           {}
func (s *spectator) Logf(format string, args ...any)   { s.said += fmt.Sprintf(format, args...) + "\n" }
func (s *spectator) Errorf(format string, args ...any) { s.Logf("FAILED: "+format, args...) }

// TestRunFails: a store whose follower is of another location is found out, and a
// page shows where.
func TestRunFails(t *testing.T) {
	registry, stranger := mem.NewRegistry(), mem.NewRegistry()
	store := concurrent.Store{
		Open: func(ctx context.Context) (*persist.Client, error) { return registry.Runtime(ctx, hurried()) },
		OpenRead: func(ctx context.Context) (*persist.ReadClient, error) {
			c, err := stranger.Runtime(ctx, hurried()) // the streams are there, and empty
			if err == nil {
				for i := range 4 {
					_, _, err := persist.CreateOrLoad(ctx, c, fmt.Sprintf("stream-%d", i), codec.String, codec.String)
					require.NoError(t, err)
				}
				err = c.Stop()
			}
			if err != nil {
				return nil, err
			}
			return stranger.ReadRuntime(ctx, hurried())
		},
	}
	opts := small
	opts.Followers, opts.Patience = 1, 100*time.Millisecond
	s := &spectator{TB: t}
	concurrent.Run(s, store, opts)
	require.Contains(t, s.said, "FAILED")
	require.Contains(t, s.said, "linearizable: stream")
	require.Contains(t, s.said, "repeat with: TIDEMARK_SEED=1 go test -count=1 ./tidemarktest/concurrent -run '^TestRunFails$'")
	page := regexp.MustCompile(`open (.*) in a browser`).FindStringSubmatch(s.said)
	require.NotNil(t, page, s.said)
	text, err := os.ReadFile(page[1])
	require.NoError(t, err)
	require.Contains(t, string(text), "<html")
	require.NoError(t, os.Remove(page[1]))
}

// TestVoid: a run that shows nothing does not pass.
func TestVoid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := small
		opts.Seed = 3
		h, err := concurrent.Record(t.Context(), inMemory(3, hurried()), opts)
		require.NoError(t, err)
		require.NoError(t, concurrent.Verify(h, opts))

		slow, hasty := *h, opts
		slow.Elapsed = 2*time.Second + time.Millisecond
		require.NoError(t, concurrent.Verify(&slow, opts))
		hasty.MinRate = 100
		require.ErrorIs(t, concurrent.Verify(&slow, hasty), concurrent.ErrVoid)
		idle := *h
		idle.Tails = idle.Tails[:1]
		require.ErrorIs(t, concurrent.Verify(&idle, opts), concurrent.ErrVoid)
		timid := *h
		timid.Commands = append([]concurrent.Command(nil), h.Commands...)
		for i := range timid.Commands {
			timid.Commands[i].Outcome = concurrent.NoEffect
		}
		require.ErrorIs(t, concurrent.Verify(&timid, opts), concurrent.ErrVoid)
		failed := *h
		failed.Failures = []error{persist.ErrCorrupt}
		require.ErrorIs(t, concurrent.Verify(&failed, opts), persist.ErrCorrupt)
	})
}

// TestOptions: what can never work is refused, and a store that cannot be opened, at
// first or again, is an error.
func TestOptions(t *testing.T) {
	good := onDisk(t, hurried())
	for _, opts := range []concurrent.Options{{Writers: -1}, {Listeners: -1}, {Streams: -1}, {Followers: -1}, {Operations: -1}, {Pause: -1}, {CompactEvery: -1}, {Patience: -1}, {CheckTimeout: -1}} {
		_, err := concurrent.Record(t.Context(), good, opts)
		require.ErrorIs(t, err, persist.ErrInvalid, "%+v", opts)
		_, _, err = concurrent.RecordLists(t.Context(), good, opts)
		require.ErrorIs(t, err, persist.ErrInvalid, "%+v", opts)
	}
	_, err := concurrent.Record(t.Context(), concurrent.Store{}, small)
	require.ErrorIs(t, err, persist.ErrInvalid)

	errNo := errors.New("no")
	for opens := range 2 {
		store, n := onDisk(t, hurried()), 0
		open := store.Open
		store.Open = func(ctx context.Context) (*persist.Client, error) {
			if n++; n > opens {
				return nil, errNo
			}
			return open(ctx)
		}
		_, err := concurrent.Record(t.Context(), store, small)
		require.ErrorIs(t, err, errNo)
	}
	t.Setenv("TIDEMARK_SEED", "many")
	_, err = concurrent.Record(t.Context(), good, small)
	require.ErrorContains(t, err, "TIDEMARK_SEED: ")
	require.NoError(t, os.Unsetenv("TIDEMARK_SEED"))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = concurrent.Record(ctx, onDisk(t, hurried()), small)
	require.ErrorIs(t, err, context.Canceled)
	cut, cancel := context.WithTimeout(t.Context(), 3*time.Millisecond)
	defer cancel()
	_, err = concurrent.Record(cut, good, concurrent.Options{Operations: 1_000_000})
	require.ErrorIs(t, err, context.DeadlineExceeded, "a load under way ends with its context")
}
