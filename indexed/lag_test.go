package indexed_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/storage"
)

// holdingLog notes what a follower holds.
type holdingLog struct {
	*mem.LogReader
	held storage.SeqNo
}

func (l *holdingLog) Hold(ctx context.Context, after storage.SeqNo) {
	l.held = after
	l.LogReader.Hold(ctx, after)
}

// A listener of a follower that is not read holds back as much of the log as one of the
// owner may: then it is cut off, and what the owner has truncated is let go of. Those
// that are read, have nothing to read or have no limit go on.
func TestFollowersListenersMayLag(t *testing.T) {
	for _, limit := range []int64{2 << 20, -1} {
		f := newFixture(t, still())
		id, quiet := f.register("s"), f.register("quiet")
		cfg := still()
		cfg.MaxListenerLag, cfg.ListenerWindowBytes = limit, 1
		var logged bytes.Buffer
		cfg.Logger = slog.New(slog.NewTextHandler(&logged, nil))
		log := &holdingLog{LogReader: f.place.OpenLogReader()}
		r, err := indexed.OpenRead(f.ctx, log, f.place.OpenBlobReader(), cfg)
		require.NoError(t, err)
		defer func() { require.NoError(t, r.Stop()) }()
		listen := func(id indexed.StreamID) *indexed.Listener {
			s, l, err := r.Listen(f.ctx, id)
			require.NoError(t, err)
			require.NoError(t, s.Close())
			t.Cleanup(func() { _ = l.Close() })
			return l
		}
		lagging, reading, waiting := listen(id), listen(id), listen(quiet)
		start := f.newest()
		value := strings.Repeat("v", 1<<20)
		for i := range uint64(6) {
			at := f.write(id, up(value, i))
			f.round(true) // flushed, and truncated
			require.NoError(t, r.Refresh(f.ctx))
			e, err := reading.Next(f.ctx)
			require.NoError(t, err)
			require.Equal(t, at, e.SeqNo)
			if i == 0 {
				require.Equal(t, start, log.held, "within the limit it is held")
			}
		}
		require.NoError(t, r.Refresh(f.ctx))
		require.NoError(t, r.Check())
		if limit < 0 {
			require.Equal(t, start, log.held)
			_, err = lagging.Next(f.ctx)
			require.NoError(t, err)
			continue
		}
		require.Equal(t, f.newest(), log.held)
		_, err = lagging.Next(f.ctx)
		require.ErrorIs(t, err, indexed.ErrLagged)
		require.ErrorContains(t, err, `"s"`)
		require.Contains(t, logged.String(), "lagged")
		at := f.seal(quiet, frontier.At(1))
		require.NoError(t, r.Refresh(f.ctx))
		e, err := waiting.Next(f.ctx)
		require.NoError(t, err)
		require.Equal(t, at, e.SeqNo)
	}
}
