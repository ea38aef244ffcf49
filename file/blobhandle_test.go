package file

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/storage"
)

// However much of a range is in memory, an open blob returns it. What is there as a whole needs
// no operation of the disk.
func TestOpenBlobReadsWhatIsCached(t *testing.T) {
	m := disk.New()
	cached := 0
	m.Cached = func(string) int { return cached }
	blob := openMemBlob(t, m)
	_, err := blob.Set(ctx0, "a", []byte("contents"))
	require.NoError(t, err)
	o, err := blob.Open(ctx0, "a")
	require.NoError(t, err)
	reads := 0
	m.SetHook(func(op, _ string) error {
		if op == "read" {
			reads++
		}
		return nil
	})
	for n, want := range map[int]int{0: 1, 3: 1, 4: 0, 100: 0} {
		cached, reads = n, 0
		got := make([]byte, 4)
		require.NoError(t, o.ReadRange(ctx0, got, 3))
		require.Equal(t, "tent", string(got))
		require.Equal(t, want, reads, "%d bytes are in memory", n)
	}
	require.NoError(t, o.Close())
}

// A read that hangs keeps the file of a blob that was closed, and closes it when the disk
// answers. Its caller leaves with its context.
func TestOpenBlobThatHangs(t *testing.T) {
	m := disk.New()
	blob := openMemBlob(t, m)
	_, err := blob.Set(ctx0, "a", []byte("contents"))
	require.NoError(t, err)
	before := m.Handles()
	o, err := blob.Open(ctx0, "a")
	require.NoError(t, err)
	reached, letGo := m.Stall(func(op, _ string) bool { return op == "read" })
	ctx, cancel := context.WithCancel(ctx0)
	failed := make(chan error)
	go func() { failed <- o.ReadRange(ctx, make([]byte, 4), 3) }()
	<-reached
	cancel()
	require.ErrorIs(t, <-failed, context.Canceled)
	require.NoError(t, o.Close())
	require.ErrorIs(t, o.ReadRange(ctx0, make([]byte, 1), 0), storage.ErrClosed)
	letGo()
	require.NoError(t, blob.Close())
	require.Less(t, m.Handles(), before, "the file of the read that hung is open")
}
