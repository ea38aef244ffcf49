package file

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/storage"
)

// The newest edit of the manifest is lost, and the log was truncated by what it said:
// the edit before it names no batch for a tail that the log does not hold any more.
func TestLostNewestEdit(t *testing.T) {
	s := emptyDamageStore()
	edits := func() (names []string) {
		for name := range s.m.All() {
			if strings.Contains(name, "manifest%2fedit-") {
				names = append(names, name)
			}
		}
		return names
	}
	var before int
	synctest.Test(t, func(t *testing.T) {
		cfg := quietConfig()
		cfg.MinStepInterval, cfg.FlushBytes = time.Millisecond, 20_000
		db, err := startOwner(s.m, cfg)
		require.NoError(t, err)
		large, small := s.create(t, db, "large"), s.create(t, db, "small")
		row := []rowUpdate{{Key: "in the tail", Diff: 1}}
		s.command(t, wrote("small", row), small.Write(ctx0, row))
		// Enough for a flush of this stream alone, and for several segments. Only the last
		// write makes the flush due, so that it takes all rows: two batches would be merged
		// later, and the merge would be the newest edit.
		for _, n := range []int{1, 1, 1, 5} {
			rows := slices.Repeat([]rowUpdate{{Key: strings.Repeat("x", 6000), Diff: 1}}, n)
			s.command(t, wrote("large", rows), large.Write(ctx0, rows))
		}
		<-time.After(time.Minute) // of the bubble: until nothing is due
		synctest.Wait()
		before = len(edits())
		require.Positive(t, before, "nothing was flushed")
		require.NotEmpty(t, s.m.Names(segmentName(1)))
		require.NoError(t, db.Maintain(ctx0))
		require.Empty(t, s.m.Names(segmentName(1)), "the log was not truncated")
		require.NoError(t, db.Close())
	})
	require.Len(t, edits(), before+1)
	newest := ""
	for _, name := range edits() {
		newest = max(newest, name)
	}
	s.want = s.now().texts()
	s.m.Lose(newest)
	for who, read := range map[string]func() (map[string]string, error){
		"follower": func() (map[string]string, error) { return s.read(s.m.Clone()) },
		"owner":    func() (map[string]string, error) { got, _, err := s.own(s.m.Clone(), false); return got, err },
	} {
		got, err := read()
		require.ErrorIs(t, err, storage.ErrCorrupt, "%s shows %v", who, got["small"])
		require.Contains(t, err.Error(), "small")
	}
}
