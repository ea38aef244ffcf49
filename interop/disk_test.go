package interop_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// TestPathsOnDisk finds the parts of a stream where README.md says that they are.
func TestPathsOnDisk(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	client, err := file.Open(ctx, dir, persist.Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()

	var want []row
	for _, name := range []string{"first", "second"} {
		write, _, err := persist.CreateOrLoad(ctx, client, name, codec.String, codec.Uint64)
		require.NoError(t, err)
		var updates []persist.Update[string, uint64]
		for i := range uint64(300) {
			updates = append(updates, persist.Update[string, uint64]{Key: name, Val: i, Time: i, Diff: 1})
			if name == "second" {
				want = append(want, row{Key: name, Val: string([]byte{0, 0, 0, 0, 0, 0, byte(i >> 8), byte(i)}), Time: i, Diff: 1})
			}
		}
		_, err = write.Write(ctx, updates).Wait(ctx)
		require.NoError(t, err)
		_, err = write.Finish(ctx).Wait(ctx)
		require.NoError(t, err)
	}
	require.NoError(t, client.Maintain(ctx))

	streams, err := client.Streams(ctx)
	require.NoError(t, err)
	i := slices.IndexFunc(streams, func(s persist.StreamInfo) bool { return s.Name == "second" })
	paths, err := filepath.Glob(filepath.Join(dir, fmt.Sprintf("blob/data/batch%%2f%d%%2f*.parquet", uint64(streams[i].ID))))
	require.NoError(t, err)
	require.Len(t, paths, 1)
	data, err := os.ReadFile(paths[0])
	require.NoError(t, err)
	part := readPartFile(t, paths[0], data)
	require.Equal(t, "second", part.metadata["tidemark.stream"])
	require.Equal(t, want, part.rows)
}
