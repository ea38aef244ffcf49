//go:build unix

package file_test

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/storage"
)

// appendNumbers appends one entry after the other to a log, each the number of its
// position. A line of its input is how many it may append; it says each position
// that was acknowledged.
func appendNumbers(v *voice, role childRole) error {
	ctx := context.Background()
	l, err := file.NewLog(role.Dir, file.LockInfo(storage.LockInfo{Owner: "child"}), file.SegmentSize(file.MinSegmentSize, 4*file.MinSegmentSize))
	if err != nil {
		return err
	}
	b, err := l.Bounds(ctx)
	if err != nil {
		return err
	}
	v.say(said{What: "open"})
	for last := b.Last; ; {
		line, ok := v.order()
		if !ok {
			return l.Close()
		}
		n, err := strconv.Atoi(line)
		if err != nil {
			return err
		}
		for range n {
			data := make([]byte, 8+int(last%7)*200)
			binary.LittleEndian.PutUint64(data, uint64(last+1))
			positions, err := l.Append(ctx, last, [][]byte{data})
			if err != nil {
				return err
			}
			last = positions[0]
			v.say(said{What: "acked", SeqNo: last})
		}
	}
}

func readNumbers(t *testing.T, l storage.LogReader, after storage.SeqNo) storage.SeqNo {
	t.Helper()
	for e, err := range l.Read(t.Context(), after) {
		require.NoError(t, err)
		require.Equal(t, after+1, e.SeqNo)
		require.EqualValues(t, e.SeqNo, binary.LittleEndian.Uint64(e.Data))
		after = e.SeqNo
	}
	return after
}

// A process is killed in the middle of appending, again and again: what it had
// acknowledged is there, and a reader that follows loses nothing and sees nothing
// twice.
func TestKillAndFollow(t *testing.T) {
	dir := t.TempDir()
	follower, err := file.NewLogReader(dir)
	require.NoError(t, err)
	defer follower.Close()
	var seen, acked storage.SeqNo
	for round := range 5 {
		c := startChild(t, childRole{Role: "log", Dir: dir})
		c.until("open")
		c.tell("200")
		for range 30 + 17*round {
			acked = c.until("acked").SeqNo
			seen = readNumbers(t, follower, seen)
			require.GreaterOrEqual(t, seen, acked, "the follower misses what was acknowledged")
		}
		for _, s := range c.kill() {
			acked = s.SeqNo
		}
		seen = readNumbers(t, follower, seen)
		require.GreaterOrEqual(t, seen, acked)

		l, err := file.NewLog(dir)
		require.NoError(t, err)
		b, err := l.Bounds(t.Context())
		require.NoError(t, err)
		require.GreaterOrEqual(t, b.Last, seen, "the follower saw what is not there")
		require.Equal(t, b.Last, readNumbers(t, l, 0))
		require.NoError(t, l.Close())
		seen = readNumbers(t, follower, seen)
		require.Equal(t, b.Last, seen, "what was written and not acknowledged is settled by opening the log")
	}
	require.Equal(t, seen, readNumbers(t, follower, 0), "from the beginning")
}

// A held segment stays readable when its writer, another process, truncates it.
func TestHoldAgainstAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	c := startChild(t, childRole{Role: "log", Dir: dir})
	c.until("open")
	c.tell("120")
	for range 120 {
		c.until("acked")
	}
	holder, err := file.NewLogReader(dir)
	require.NoError(t, err)
	holder.Hold(t.Context(), 0)
	c.kill()

	l, err := file.NewLog(dir, file.SegmentSize(file.MinSegmentSize, file.MinSegmentSize))
	require.NoError(t, err)
	last := storage.SeqNo(120)
	for range 60 {
		data := make([]byte, 1000)
		binary.LittleEndian.PutUint64(data, uint64(last+1))
		positions, err := l.Append(t.Context(), last, [][]byte{data})
		require.NoError(t, err)
		last = positions[0]
		require.NoError(t, l.Truncate(t.Context(), last))
		require.Equal(t, last, readNumbers(t, holder, 0))
	}
	b, err := l.Bounds(t.Context())
	require.NoError(t, err)
	require.Greater(t, b.After, storage.SeqNo(120))
	require.NoError(t, l.Close())
	require.Equal(t, last, readNumbers(t, holder, 0))
	require.NoError(t, holder.Close())
}

// A location is its owner's business.
func TestPermissions(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	dir := filepath.Join(t.TempDir(), "a", "b")
	l, err := file.NewLog(dir)
	require.NoError(t, err)
	_, err = l.Append(t.Context(), 0, [][]byte{{1}})
	require.NoError(t, err)
	b, err := file.NewBlob(dir)
	require.NoError(t, err)
	_, err = b.Set(t.Context(), "key", []byte("value"))
	require.NoError(t, err)
	files := 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		if d.IsDir() {
			require.Equal(t, os.FileMode(0o700), info.Mode().Perm(), path)
		} else {
			files++
			require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), path)
		}
		return nil
	}))
	require.Equal(t, 5, files, "two locks, a segment, a blob, the file pins")
	require.NoError(t, b.Close())
	require.NoError(t, l.Close())
}
