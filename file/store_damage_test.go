package file_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

var (
	everyBit   = flag.Bool("every-bit", false, "TestStoreWithAFlippedBit: every bit of every byte, not one")
	damageSeed = flag.Uint64("damage-seed", rand.Uint64(), "seed of TestStoreWithAFlippedBit")
)

// smallStore writes a location with every kind of file: segments, a manifest of a
// few edits, trace and unsealed parts.
func smallStore(t *testing.T, dir string) {
	ctx := context.Background()
	for round := range uint64(3) {
		p, err := file.Open(ctx, dir, persist.Config{}, file.SegmentSize(file.MinSegmentSize, file.MinSegmentSize))
		require.NoError(t, err)
		write, _, err := persist.CreateOrLoad(ctx, p, "s", codec.String, codec.Uint64)
		require.NoError(t, err)
		other, _, err := persist.CreateOrLoad(ctx, p, fmt.Sprint("stream ", round), codec.String, codec.Unit)
		require.NoError(t, err)
		for i := range uint64(4) {
			at := 10*round + i
			_, err = write.Write(ctx, []persist.Update[string, uint64]{
				{Key: fmt.Sprint("key ", i), Val: at, Time: at, Diff: 1},
				{Key: "later", Val: at, Time: at + 100, Diff: -1},
			}).Wait(ctx)
			require.NoError(t, err)
			_, err = write.Seal(ctx, at+1).Wait(ctx)
			require.NoError(t, err)
		}
		_, err = other.AllowCompaction(ctx, frontier.At(round)).Wait(ctx)
		require.NoError(t, err)
		if round < 2 { // what the last round wrote is in the log alone
			require.NoError(t, p.Maintain(ctx))
		}
		require.NoError(t, p.Close())
	}
}

// contents reads everything there is to read, as a user would.
func contents(ctx context.Context, dir string) (string, error) {
	p, err := file.OpenRead(ctx, dir, persist.Config{})
	if err != nil {
		return "", err
	}
	defer p.Close()
	var out strings.Builder
	streams, err := p.Streams(ctx)
	if err != nil {
		return "", err
	}
	for _, s := range streams {
		fmt.Fprintln(&out, s.Name, s.KeyCodec, s.ValCodec, s.Upper, s.Since)
	}
	read, err := persist.Load(ctx, p, "s", codec.String, codec.Uint64)
	if err != nil {
		return "", err
	}
	snapshot, err := read.Snapshot(ctx)
	if err != nil {
		return "", err
	}
	defer snapshot.Close()
	for u, err := range snapshot.Consolidated(ctx) {
		if err != nil {
			return "", err
		}
		fmt.Fprintln(&out, u)
	}
	return out.String(), nil
}

// One flipped bit anywhere in a closed store is harmless, or an error that says
// where: never other contents, never fewer, never a panic.
func TestStoreWithAFlippedBit(t *testing.T) {
	t.Logf("reproduce: go test ./file -run %s -damage-seed %d [-every-bit]", t.Name(), *damageSeed)
	ctx := context.Background()
	dir := t.TempDir()
	smallStore(t, dir)
	want, err := contents(ctx, dir)
	require.NoError(t, err)
	require.Contains(t, want, "key 3 23")

	rng := rand.New(rand.NewPCG(*damageSeed, 0))
	harmless, reported := 0, 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		require.NoError(t, err)
		defer f.Close()
		for offset := range data {
			// Most of a segment was never used: some of that is enough.
			if data[offset] == 0 && !*everyBit && bytes.Count(data[max(0, offset-64):min(len(data), offset+64)], []byte{0}) >= 64 && rng.IntN(50) > 0 {
				continue
			}
			bits := []int{rng.IntN(8)}
			if *everyBit {
				bits = []int{0, 1, 2, 3, 4, 5, 6, 7}
			}
			for _, bit := range bits {
				_, err := f.WriteAt([]byte{data[offset] ^ 1<<bit}, int64(offset))
				require.NoError(t, err)
				got, err := contents(ctx, dir)
				if err == nil {
					require.Equal(t, want, got, "%s, byte %d, bit %d", path, offset, bit)
					harmless++
					continue
				}
				requireLocated(t, err, dir, path, offset, bit)
				reported++
			}
			_, err := f.WriteAt(data[offset:offset+1], int64(offset))
			require.NoError(t, err)
		}
		return nil
	}))
	t.Logf("%d flips were harmless, %d reported", harmless, reported)
	require.Greater(t, reported, 1000)
	got, err := contents(ctx, dir)
	require.NoError(t, err)
	require.Equal(t, want, got, "the store is as it was")
}

// requireLocated checks that an error names the damaged file, by its name or by the
// key of the blob that it holds.
func requireLocated(t *testing.T, err error, dir, path string, offset, bit int) {
	var corrupt *storage.CorruptError
	if !errors.As(err, &corrupt) {
		// A version of a later program is not damage, but it is told apart and named.
		require.ErrorIs(t, err, file.ErrNewerFormat, "%s, byte %d, bit %d", path, offset, bit)
	}
	name := filepath.Base(path)
	for _, part := range []string{"log", "manifest", "batch"} {
		if strings.Contains(strings.TrimPrefix(path, dir), part) {
			require.Contains(t, err.Error(), part, "%s, byte %d, bit %d", path, offset, bit)
			return
		}
	}
	require.Contains(t, err.Error(), name)
}
