package file_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/storage"
)

// goldenEntries returns the entry that was truncated, and those that are there.
func goldenEntries() (large []byte, entries []storage.Entry) {
	large = make([]byte, 12_000)
	for i := range large {
		large[i] = byte(i % 251)
	}
	return large, []storage.Entry{
		{SeqNo: 3, Data: large[:3000]},
		{SeqNo: 4, Data: []byte{}},
		{SeqNo: 5, Data: []byte("the last one")},
	}
}

var goldenBlobs = []struct {
	key     string
	version storage.Version
}{
	{"META", "a69a206a3b6e8252-10"},
	{"s/1/t-5.parquet", "a6427a5a478efcb4-1b"},
}

// The files of every format that was ever released open, with the contents that they
// had: a log and blobs, without an engine.
func TestGoldenFiles(t *testing.T) {
	eachGolden(t, "files", func(t *testing.T, archive string) {
		dir := unpackGolden(t, archive)
		sum := sumOfStore(t, dir)
		_, want := goldenEntries()
		r, err := file.NewLogReader(dir)
		require.NoError(t, err)
		requireEntries(t, r, want)
		require.NoError(t, r.Close())
		br, err := file.NewBlobReader(dir)
		require.NoError(t, err)
		var keys []string
		for info, err := range br.List(t.Context(), "") {
			require.NoError(t, err)
			keys = append(keys, info.Key)
		}
		require.Equal(t, []string{goldenBlobs[0].key, goldenBlobs[1].key}, keys)
		for _, blob := range goldenBlobs {
			data, version, err := br.Get(t.Context(), blob.key)
			require.NoError(t, err)
			require.Equal(t, "contents of "+blob.key, string(data))
			require.Equal(t, blob.version, version)
		}
		require.NoError(t, br.Close())
		require.Equal(t, sum, sumOfStore(t, dir), "reading changed something")

		l, err := file.NewLog(dir, file.SegmentSize(file.MinSegmentSize, file.MinSegmentSize))
		require.NoError(t, err)
		require.Zero(t, l.Recovery())
		requireEntries(t, l, want)
		_, err = l.Append(t.Context(), 5, [][]byte{{1}})
		require.NoError(t, err)
		require.NoError(t, l.Close())
	})
}

func requireEntries(t *testing.T, l storage.LogReader, want []storage.Entry) {
	t.Helper()
	b, err := l.Bounds(t.Context())
	require.NoError(t, err)
	require.Equal(t, storage.Bounds{After: want[0].SeqNo - 1, Last: want[len(want)-1].SeqNo}, b)
	var got []storage.Entry
	for e, err := range l.Read(t.Context(), b.After) {
		require.NoError(t, err)
		got = append(got, e)
	}
	require.Equal(t, want, got)
}
