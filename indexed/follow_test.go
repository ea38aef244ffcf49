package indexed_test

import (
	"context"
	"fmt"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/storage"
)

// busyLog is the log of an owner that goes on between any two looks of a reader.
type busyLog struct {
	storage.LogReader
	between func()
}

func (l busyLog) Bounds(ctx context.Context) (storage.Bounds, error) {
	l.between()
	b, err := l.LogReader.Bounds(ctx)
	l.between()
	return b, err
}

func (l busyLog) Read(ctx context.Context, after storage.SeqNo) iter.Seq2[storage.Entry, error] {
	l.between()
	return l.LogReader.Read(ctx, after)
}

// A reader opens a location whose owner writes, flushes and truncates meanwhile.
func TestReaderOpensBesideABusyOwner(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	f.write(id, up("a", 1))
	n := 0
	r, err := indexed.OpenRead(f.ctx, busyLog{hidden{f.place.OpenLogReader()}, func() {
		if n++; n <= 5 {
			f.write(id, up(fmt.Sprint(n), 1))
			if n%2 == 0 {
				f.round(true)
			}
		}
	}}, f.place.OpenBlobReader(), f.cfg)
	require.NoError(t, err)
	defer r.Stop()
	s, err := r.Snapshot(f.ctx, id)
	require.NoError(t, err)
	defer s.Close()
	require.Equal(t, show(f.read(id)), show(collect(t, s.Consolidated(f.ctx))))
}

// One whose owner is always faster gives up with an error that says so.
func TestReaderGivesUpOnAnOwnerThatIsFaster(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	f.write(id, up("a", 1))
	_, err := indexed.OpenRead(f.ctx, busyLog{hidden{f.place.OpenLogReader()}, func() {
		f.write(id, up("b", 1))
		f.round(true)
	}}, f.place.OpenBlobReader(), f.cfg)
	require.ErrorIs(t, err, storage.ErrTruncated)
}

// A reader of blobs alone sees all that was flushed, also when a base took the place
// of the edits it has read and others follow.
func TestRefreshGoesBeyondABase(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	f.write(id, up("a", 1))
	f.round(true)
	r := f.followBlobs(still())
	for i := range uint64(3) {
		f.write(id, up(fmt.Sprint(i), 1))
		f.PreferBase()
		f.round(true)
		f.write(id, up(fmt.Sprint("after", i), 1))
		f.seal(id, frontier.At(i))
		f.round(true)
		s, err := r.Snapshot(f.ctx, id)
		require.NoError(t, err)
		require.Equal(t, show(f.read(id)), show(collect(t, s.Consolidated(f.ctx))))
		require.Equal(t, frontier.At(i), s.Upper())
		require.NoError(t, s.Close())
	}
	d, err := r.Describe(f.ctx, "s")
	require.NoError(t, err)
	require.Equal(t, frontier.At(2), d.Upper)
	f.seal(id, frontier.At(9))
	infos, err := r.Streams(f.ctx)
	require.NoError(t, err)
	require.Len(t, infos, 1)
	require.Equal(t, frontier.At(2), infos[0].Upper, "as far as it can vouch for")
	_, _, err = r.Listen(f.ctx, id)
	require.ErrorIs(t, err, indexed.ErrReadOnly)
}

// A reader holds the log from its opening on: what the owner does next is not lost to
// it, nor to a listener that it opens.
func TestFollowerHoldsTheLogFromTheStart(t *testing.T) {
	cfg := still()
	cfg.ListenerWindowBytes = 1
	f := newFixture(t, cfg)
	id := f.register("s")
	r := f.follow(cfg)
	f.write(id, up("a", 1))
	f.round(true) // the reader has not looked since it was opened
	s, l, err := r.Listen(f.ctx, id)
	require.NoError(t, err)
	require.Equal(t, []string{"k=a @1 +1"}, show(collect(t, s.Consolidated(f.ctx))))
	require.NoError(t, s.Close())
	f.write(id, up("b", 1))
	f.write(id, up("c", 1))
	f.round(true)
	f.seal(id, frontier.Empty())
	require.NoError(t, r.Refresh(f.ctx))
	f.round(true)
	events, err := drain(t, l)
	require.NoError(t, err)
	require.Len(t, events, 3)
}

// A reader survives that a stream it has an unapplied edit of is destroyed in the log.
func TestFollowerOfADestroyedStream(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	f.write(id, up("a", 1))
	r := f.follow(still())
	s, l, err := r.Listen(f.ctx, id)
	require.NoError(t, err)
	defer s.Close()
	f.write(id, up("b", 1))
	f.round(true)
	_, err = f.Destroy(f.ctx, "s")
	require.NoError(t, err)
	require.NoError(t, r.Refresh(f.ctx))
	require.NoError(t, r.Check())
	_, err = r.Describe(f.ctx, "s")
	require.ErrorIs(t, err, indexed.ErrDestroyed)
	_, err = r.Lookup(f.ctx, "s", "k", "v")
	require.ErrorIs(t, err, indexed.ErrDestroyed)
	events, err := drain(t, l)
	require.ErrorIs(t, err, indexed.ErrDestroyed)
	require.Len(t, events, 1)
	f.round(true)
	require.NoError(t, r.Refresh(f.ctx))
	require.Equal(t, []string{"k=a @1 +1"}, show(collect(t, s.Consolidated(f.ctx))), "the snapshot stays")
}
