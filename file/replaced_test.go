//go:build unix

package file

import (
	iofs "io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

func readAllOf(t *testing.T, r storage.LogReader, after storage.SeqNo) (out []string) {
	t.Helper()
	for e, err := range r.Read(ctx0, after) {
		require.NoError(t, err)
		out = append(out, string(e.Data))
	}
	return out
}

// A follower of the original reads what the copy's writer appends.
func TestFollowerReadsTheCopy(t *testing.T) {
	base := t.TempDir()
	x, y := filepath.Join(base, "x"), filepath.Join(base, "y")
	lx, err := NewLog(x, SegmentSize(MinSegmentSize, MinSegmentSize))
	require.NoError(t, err)
	defer lx.Close()
	last, err := lx.Append(ctx0, 0, [][]byte{[]byte("common")})
	require.NoError(t, err)
	r, err := NewLogReader(x)
	require.NoError(t, err)
	defer r.Close()
	require.Equal(t, []string{"common"}, readAllOf(t, r, 0))

	linkAll(t, x, y)
	_, err = lx.Append(ctx0, last[0], [][]byte{[]byte("of the original")}) // has a file of its own now
	require.NoError(t, err)
	ly, err := NewLog(y, SegmentSize(MinSegmentSize, MinSegmentSize))
	require.NoError(t, err)
	defer ly.Close()
	_, err = ly.Append(ctx0, last[0], [][]byte{make([]byte, 500)})
	require.NoError(t, err)

	bb, err := r.Bounds(ctx0)
	t.Log(bb, err, r.end.at, lx.write.off, ly.write.off)
	require.Equal(t, []string{"common", "of the original"}, readAllOf(t, r, 0))
	_, err = lx.Append(ctx0, last[0]+1, [][]byte{[]byte("third")})
	require.NoError(t, err)
	for range 30 {
		bb, err = r.Bounds(ctx0)
		t.Log(bb, err, r.end.at, lx.write.off, ly.write.off)
		if err != nil {
			break
		}
	}
	require.Equal(t, []string{"common", "of the original", "third"}, readAllOf(t, r, 0))
}

// A reader that was away while the shared segment was replaced, left and truncated never goes on.
func TestReaderStuckInReplacedSegment(t *testing.T) {
	base := t.TempDir()
	x, y := filepath.Join(base, "x"), filepath.Join(base, "y")
	lx, err := NewLog(x, SegmentSize(MinSegmentSize, MinSegmentSize))
	require.NoError(t, err)
	defer lx.Close()
	at, err := lx.Append(ctx0, 0, [][]byte{[]byte("common")})
	require.NoError(t, err)
	r, err := NewLogReader(x)
	require.NoError(t, err)
	defer r.Close()
	require.Equal(t, []string{"common"}, readAllOf(t, r, 0))
	linkAll(t, x, y)
	for range 5 {
		at, err = lx.Append(ctx0, at[0], [][]byte{make([]byte, 8000)})
		require.NoError(t, err)
	}
	require.NoError(t, lx.Truncate(ctx0, at[0]))
	for range 20 {
		b, err := r.Bounds(ctx0)
		require.NoError(t, err)
		if b.Last == at[0] {
			return
		}
	}
	b, _ := r.Bounds(ctx0)
	own, _ := lx.Bounds(ctx0)
	t.Fatalf("reader ends at %v for ever, log has %v", b, own)
}

// What ext4 and btrfs say to fsync after they have gone read-only because of an error.
func TestReadOnlyAfterError(t *testing.T) {
	m := disk.New()
	require.NoError(t, m.Mkdir("/data"))
	b, err := NewBlob("/data/db", withFileSystem(m))
	require.NoError(t, err)
	defer func() { _ = b.Close() }()
	m.SetHook(func(op, name string) error {
		if op == "syncDir" {
			return &iofs.PathError{Op: op, Path: name, Err: syscall.EROFS}
		}
		return nil
	})
	_, err = b.Set(ctx0, "manifest", []byte("x"))
	m.SetHook(nil)
	cut := m.Crash(nil, 0)
	require.Error(t, err)
	require.False(t, cut.Has("/data/db/blob/data/manifest"))
}

// The place where the last read ended is in the file that was replaced.
func TestCursorInReplacedSegment(t *testing.T) {
	base := t.TempDir()
	x, y := filepath.Join(base, "x"), filepath.Join(base, "y")
	lx, err := NewLog(x, SegmentSize(MinSegmentSize, MinSegmentSize))
	require.NoError(t, err)
	defer lx.Close()
	at, err := lx.Append(ctx0, 0, [][]byte{[]byte("common")})
	require.NoError(t, err)
	r, err := NewLogReader(x)
	require.NoError(t, err)
	defer r.Close()
	require.Equal(t, []string{"common"}, readAllOf(t, r, 0))
	linkAll(t, x, y)
	for range 5 {
		at, err = lx.Append(ctx0, at[0], [][]byte{make([]byte, 8000)})
		require.NoError(t, err)
	}
	require.Len(t, readAllOf(t, r, 1), 5)
}

// Blobs on a disk of their own, whose file system goes read-only after an error, as ext4
// does (errors=remount-ro) and btrfs: the rename that was not committed is lost, and
// fsync of the directory says EROFS.
func TestBlobDiskGoesReadOnly(t *testing.T) {
	m := disk.New()
	c, err := startOwner(m, quietConfig())
	require.NoError(t, err)
	w, _, err := persist.CreateOrLoad(ctx0, c, "s", codec.String, codec.Uint64)
	require.NoError(t, err)
	rows := 0
	for i := range uint64(20) {
		_, err := w.CompareAndAppend(ctx0, []rowUpdate{{Key: strings.Repeat("x", 4000), Time: i, Diff: 1}}, frontier.At(i), frontier.At(i+1)).Wait(ctx0)
		require.NoError(t, err)
		rows++
	}
	readOnly := false
	m.SetHook(func(op, name string) error {
		if !strings.HasPrefix(name, "/db/blob") {
			return nil
		}
		if op == "rename" && strings.Contains(name, "manifest") && !readOnly {
			readOnly = true // it is in the cache, and the journal aborts
			return nil
		}
		if readOnly && (op == "syncDir" || op == "create" || op == "rename" || op == "remove" || op == "mkdir") {
			return &iofs.PathError{Op: op, Path: name, Err: syscall.EROFS}
		}
		return nil
	})
	require.Error(t, c.Maintain(ctx0))
	require.True(t, readOnly)
	cut := m.Crash(nil, 0) // power cut, or a reboot with fsck
	_ = c.Stop()
	m.SetHook(nil)
	c, err = startOwner(cut, quietConfig())
	require.NoError(t, err, "acknowledged data is lost")
	require.NoError(t, c.Stop())
}
