package persist_test

import (
	"context"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/internal/proof"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// TestFollow: a read-only runtime beside the owner sees what was acknowledged before
// it looks, in the log or in batches, and hears the rest.
func TestFollow(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		early := startRead(t, p, onDemand()) // before there is anything
		_, err := persist.Load(t.Context(), early, "s", codec.String, codec.String)
		require.ErrorIs(t, err, persist.ErrUnknownStream)

		c := start(t, p, onDemand())
		w, _ := create(t, c, "s")
		r := load(t, early, "s")
		_, l := listen(t, r)
		var want []update
		for i := range uint64(80) {
			u := up(fmt.Sprintf("%02d", i), "", i, 1)
			want = append(want, u)
			at := must(t, w.Write(t.Context(), want[i:]))
			sealed := must(t, w.Seal(t.Context(), i+1))
			if i%4 == 1 {
				require.NoError(t, c.Maintain(t.Context()))
			}
			s := take(t, r)
			require.Equal(t, want, read(t, s))
			require.Equal(t, frontier.At(i+1), s.Upper())
			require.Equal(t, sealed, s.SeqNo())
			require.Equal(t, event{Updates: want[i:], SeqNo: at}, next(t, l))
			require.Equal(t, event{Sealed: frontier.At(i + 1), SeqNo: sealed}, next(t, l))
			d, err := early.Description(t.Context(), "s")
			require.NoError(t, err)
			require.Equal(t, describe(t, c, "s"), d)
		}
		require.Less(t, info(t, c, "s").Batches, 16, "some were merged")
		late := startRead(t, p, onDemand())
		require.Equal(t, want, contents(t, load(t, late, "s")))
		must(t, w.Finish(t.Context()))
		require.Equal(t, frontier.Empty(), next(t, l).Sealed)
		_, err = l.Next(t.Context())
		require.ErrorIs(t, err, io.EOF)

		_, err = c.Destroy(t.Context(), "s")
		require.NoError(t, err)
		_, err = r.Snapshot(t.Context())
		require.ErrorIs(t, err, persist.ErrDestroyed)
		require.NoError(t, c.Stop())
		infos, err := late.Streams(t.Context())
		require.NoError(t, err, "it does not need the owner")
		require.Empty(t, infos)
	})
}

// TestFollowerSnapshotOutlivesBatches: what a reader has a snapshot of stays readable
// to it when the owner merges and deletes it.
func TestFollowerSnapshotOutlivesBatches(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		c := start(t, p, onDemand())
		w, _ := create(t, c, "s")
		cfg := onDemand()
		cfg.CacheSizeLimit = 1 // it reads blobs, not memory
		follower := startRead(t, p, cfg)
		var snapshots []*snap
		for i := range uint64(8) {
			must(t, w.Write(t.Context(), []update{up("k", fmt.Sprint(i), i, 1)}))
			must(t, w.Seal(t.Context(), i+1))
			must(t, w.AllowCompaction(t.Context(), frontier.At(i)))
			require.NoError(t, c.Maintain(t.Context()))
			snapshots = append(snapshots, take(t, load(t, follower, "s")))
		}
		_, err := c.Destroy(t.Context(), "s")
		require.NoError(t, err)
		require.NoError(t, c.Maintain(t.Context()))
		for i, s := range snapshots {
			require.Len(t, read(t, s), i+1)
			require.Equal(t, frontier.At(uint64(i)), s.Since())
		}
	})
}

// TestFollowBlobsAlone sees what was moved to batches, with the upper that this much
// vouches for, and cannot listen.
func TestFollowBlobsAlone(t *testing.T) {
	readers := map[string]func(t *testing.T) (place, func() (*persist.ReadClient, error)){
		"mem": func(t *testing.T) (place, func() (*persist.ReadClient, error)) {
			registry := mem.NewRegistry()
			return memPlace{registry}, func() (*persist.ReadClient, error) {
				return persist.StartRead(t.Context(), registry.Place().OpenBlobReader(), onDemand())
			}
		},
		"file": func(t *testing.T) (place, func() (*persist.ReadClient, error)) {
			dir := t.TempDir()
			return filePlace(dir), func() (*persist.ReadClient, error) {
				blob, err := file.NewBlobReader(dir)
				require.NoError(t, err)
				return persist.StartRead(t.Context(), blob, onDemand())
			}
		},
	}
	for name, make := range readers {
		t.Run(name, func(t *testing.T) {
			p, open := make(t)
			c := start(t, p, onDemand())
			w, _ := create(t, c, "s")
			blind, err := open()
			require.NoError(t, err)
			defer func() { require.NoError(t, blind.Stop()) }()
			must(t, w.Write(t.Context(), twoUpdates[:1]))
			must(t, w.Seal(t.Context(), 2))
			_, err = persist.Load(t.Context(), blind, "s", codec.String, codec.String)
			require.ErrorIs(t, err, persist.ErrUnknownStream)

			require.NoError(t, c.Maintain(t.Context()))
			r := load(t, blind, "s")
			must(t, w.Write(t.Context(), []update{up("late", "", 2, 1)}))
			must(t, w.Seal(t.Context(), 3))
			s := take(t, r)
			require.Equal(t, frontier.At(2), s.Upper())
			require.Equal(t, twoUpdates[:1], read(t, s))
			d, err := blind.Description(t.Context(), "s")
			require.NoError(t, err)
			require.Equal(t, frontier.At(2), d.Upper)
			_, _, err = r.Listen(t.Context())
			require.ErrorIs(t, err, persist.ErrReadOnly)

			require.NoError(t, c.Maintain(t.Context()))
			s = take(t, r)
			require.Equal(t, frontier.At(3), s.Upper())
			require.Len(t, read(t, s), 2)

			upper := untilMerged(t, c, w, "s")
			s = take(t, r)
			require.Equal(t, frontier.At(upper), s.Upper())
			require.Len(t, read(t, s), 2)
		})
	}
}

// TestFollowerThatWasAway: the owner truncates the log under a reader that does not
// look for long. Its listener says so, and the reader goes on from where things are.
func TestFollowerThatWasAway(t *testing.T) {
	registry := mem.NewRegistry()
	c := start(t, memPlace{registry}, onDemand())
	w, _ := create(t, c, "s")
	must(t, w.Write(t.Context(), twoUpdates[:1]))

	cfg := onDemand()
	cfg.FollowInterval = 24 * time.Hour
	// A log that cannot be held, as that of another machine.
	log := plainLogReader{registry.Place().OpenLogReader()}
	away, err := persist.StartFollow(t.Context(), log, registry.Place().OpenBlobReader(), cfg)
	require.NoError(t, err)
	defer func() { require.NoError(t, away.Stop()) }()
	r := load(t, away, "s")
	_, l := listen(t, r)

	must(t, w.Write(t.Context(), twoUpdates[1:]))
	require.NoError(t, c.Maintain(t.Context()))
	must(t, w.Write(t.Context(), []update{up("later", "", 5, 1)}))
	require.Len(t, contents(t, r), 3)
	_, err = l.Next(t.Context())
	require.ErrorIs(t, err, persist.ErrLagged)
	_, l = listen(t, r)
	must(t, w.Write(t.Context(), twoUpdates[:1]))
	require.NoError(t, away.Refresh(t.Context()))
	require.Equal(t, twoUpdates[:1], next(t, l).Updates)
}

// TestFollowerWhoseStorageIsClosed: nothing more can come, so listeners do not wait for it.
func TestFollowerWhoseStorageIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, registry, cfg := t.Context(), mem.NewRegistry(), onDemand()
		c, err := registry.Runtime(ctx, cfg)
		require.NoError(t, err)
		_, _, err = persist.CreateOrLoad(ctx, c, "s", codec.String, codec.String)
		require.NoError(t, err)
		follower, err := registry.ReadRuntime(ctx, cfg)
		require.NoError(t, err)
		read, err := persist.Load(ctx, follower, "s", codec.String, codec.String)
		require.NoError(t, err)
		s, l, err := read.Listen(ctx)
		require.NoError(t, err)
		require.NoError(t, s.Close())
		time.AfterFunc(time.Second, func() { registry.Place().Crash(nil) })
		waiting, cancel := context.WithTimeout(ctx, time.Hour)
		defer cancel()
		_, err = l.Next(waiting)
		require.ErrorIs(t, err, persist.ErrStopped)
		_, err = read.Snapshot(ctx)
		require.ErrorIs(t, err, persist.ErrStopped)
		require.NoError(t, l.Close())
		require.NoError(t, follower.Stop())
		_ = c.Stop() // its storage has crashed
	})
}

// TestFollowersUnderLoad: readers that come and go beside a hurried owner see
// sealed contents that are complete, whatever is being merged and deleted.
func TestFollowersUnderLoad(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		c := start(t, p, tiny())
		w, _ := create(t, c, "s")
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range uint64(proof.Pick(150, 500, 5000)) {
				_, err := w.CompareAndAppend(t.Context(), []update{up(fmt.Sprint(i%10), "", i, 1)}, frontier.At(i), frontier.At(i+1)).Wait(t.Context())
				check(t, err == nil, err)
				if i > 3 {
					_, err = w.AllowCompaction(t.Context(), frontier.At(i-3)).Wait(t.Context())
					check(t, err == nil, err)
				}
			}
			_, err := w.Finish(t.Context()).Wait(t.Context())
			check(t, err == nil, err)
		}()
		for finished := false; !finished; {
			cfg := tiny()
			follower, err := p.openRead(t.Context(), cfg)
			require.NoError(t, err)
			r := load(t, follower, "s")
			for range 10 {
				s, l, err := r.Listen(t.Context())
				require.NoError(t, err)
				upper, ok := s.Upper().Elem()
				sum := int64(0)
				updates, err := s.ReadToEnd(t.Context())
				require.NoError(t, err)
				for _, u := range updates {
					sum += u.Diff
				}
				if ok {
					require.EqualValues(t, upper, sum)
					e, err := l.Next(t.Context())
					require.NoError(t, err)
					require.Greater(t, e.SeqNo, s.SeqNo())
				}
				require.NoError(t, s.Close())
				require.NoError(t, l.Close())
				finished = !ok
			}
			require.NoError(t, follower.Stop())
		}
		<-done
	})
}
