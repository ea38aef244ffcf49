package file_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/storage"
)

var update = flag.Bool("update", false, "write testdata/v1 anew; only for a new format, beside the old one")

// Every format that was ever released opens, with the contents that it had.
// testdata/v1 is a log of two segments, the older one of which was truncated,
// and two blobs.
func TestGolden(t *testing.T) {
	const golden = "testdata/v1"
	small := file.SegmentSize(file.MinSegmentSize, file.MinSegmentSize)
	large := make([]byte, 12_000)
	for i := range large {
		large[i] = byte(i % 251)
	}
	want := []storage.Entry{
		{SeqNo: 3, Data: large[:3000]},
		{SeqNo: 4, Data: []byte{}},
		{SeqNo: 5, Data: []byte("the last one")},
	}
	blobs := []struct {
		key     string
		version storage.Version
	}{
		{"s/1/t-5.parquet", "a6427a5a478efcb4-1b"},
		{"META", "a69a206a3b6e8252-10"},
	}
	if *update {
		require.NoError(t, os.RemoveAll(golden))
		l, err := file.NewLog(golden, small)
		require.NoError(t, err)
		_, err = l.Append(t.Context(), 0, [][]byte{[]byte("gone"), large})
		require.NoError(t, err)
		_, err = l.Append(t.Context(), 2, [][]byte{want[0].Data, want[1].Data})
		require.NoError(t, err)
		_, err = l.Append(t.Context(), 4, [][]byte{want[2].Data})
		require.NoError(t, err)
		require.NoError(t, l.Truncate(t.Context(), 2))
		require.NoError(t, l.Close())
		b, err := file.NewBlob(golden)
		require.NoError(t, err)
		for _, blob := range blobs {
			_, err = b.Set(t.Context(), blob.key, []byte("contents of "+blob.key))
			require.NoError(t, err)
		}
		require.NoError(t, b.Close())
		spares, err := filepath.Glob(golden + "/log/spare-*")
		require.NoError(t, err)
		for _, name := range append(spares, golden+"/log/LOCK", golden+"/blob/LOCK") {
			require.NoError(t, os.Remove(name))
		}
	}

	r, err := file.NewLogReader(golden)
	require.NoError(t, err)
	requireEntries(t, r, want)
	require.NoError(t, r.Close())
	br, err := file.NewBlobReader(golden)
	require.NoError(t, err)
	var keys []string
	for info, err := range br.List(t.Context(), "") {
		require.NoError(t, err)
		keys = append(keys, info.Key)
	}
	require.Equal(t, []string{blobs[1].key, blobs[0].key}, keys)
	for _, blob := range blobs {
		data, version, err := br.Get(t.Context(), blob.key)
		require.NoError(t, err)
		require.Equal(t, "contents of "+blob.key, string(data))
		require.Equal(t, blob.version, version)
	}
	require.NoError(t, br.Close())

	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(golden)))
	l, err := file.NewLog(dir, small)
	require.NoError(t, err)
	require.Zero(t, l.Recovery())
	requireEntries(t, l, want)
	_, err = l.Append(t.Context(), 5, [][]byte{{1}})
	require.NoError(t, err)
	require.NoError(t, l.Close())
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
