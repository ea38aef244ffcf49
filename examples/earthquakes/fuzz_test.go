package main

import (
	"bytes"
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzFeed: a feed that somebody else has written is refused, or read in the order of
// its corrections, with days that can be printed.
func FuzzFeed(f *testing.F) {
	for _, feed := range []string{
		`{"features":[{"id":"a","properties":{"net":"us","mag":4.5,"place":"Chile","time":1517356800000,"status":"reviewed","updated":2}},{"id":"b","properties":{"updated":1}}]}`,
		`{"features":[{"id":"","properties":{"updated":1}}]}`, `{"features":[{"id":"a","properties":{"updated":-1}}]}`,
		`{"features":[{"id":"a","properties":{"mag":null,"time":-9223372036854775808,"updated":9223372036854775807}}]}`, `{}`, `null`, `[]`, `{"features":[null]}`,
	} {
		f.Add([]byte(feed))
	}
	f.Fuzz(func(t *testing.T, feed []byte) {
		path := filepath.Join(t.TempDir(), "feed.json")
		require.NoError(t, os.WriteFile(path, feed, 0o600))
		reports, err := readFeed(path)
		if err != nil {
			require.Nil(t, reports)
			return
		}
		require.True(t, slices.IsSortedFunc(reports, func(a, b Report) int { return cmp.Compare(a.Updated, b.Updated) }))
		for _, r := range reports {
			require.NotEmpty(t, r.ID)
			require.NotEmpty(t, r.Quake.Day())
		}
		require.LessOrEqual(t, len(reports), bytes.Count(feed, []byte("{")))
	})
}
