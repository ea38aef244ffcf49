//go:build unix

package file_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/storage"
)

func TestMain(m *testing.M) {
	if runChild() {
		return
	}
	goleak.VerifyTestMain(m)
}

// The test binary runs itself as another process that owns a location.
const childEnv = "TIDEMARK_TEST_CHILD" // its value is the directory

// runChild appends one entry after the other to the log in the directory it is
// given, each the number of its position, and prints every position that was
// acknowledged, until it is killed or its input ends.
func runChild() bool {
	dir := os.Getenv(childEnv)
	if dir == "" {
		return false
	}
	if err := child(dir); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	return true
}

func child(dir string) error {
	ctx := context.Background()
	l, err := file.NewLog(dir, file.LockInfo(storage.LockInfo{Owner: "child"}), file.SegmentSize(file.MinSegmentSize, 4*file.MinSegmentSize))
	if err != nil {
		return err
	}
	b, err := l.Bounds(ctx)
	if err != nil {
		return err
	}
	fmt.Println("open", os.Getpid())
	in := bufio.NewReader(os.Stdin)
	for last := b.Last; ; {
		// One line of input allows a number of appends.
		line, err := in.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return l.Close()
		}
		n, err := strconv.Atoi(strings.TrimSpace(line))
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
			fmt.Println(uint64(last))
		}
	}
}

type childProcess struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Scanner
	done bool
}

func startChild(t *testing.T, dir string) *childProcess {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	c := &childProcess{t: t, cmd: cmd, in: in, out: bufio.NewScanner(out)}
	t.Cleanup(c.kill)
	require.Equal(t, fmt.Sprintf("open %d", cmd.Process.Pid), c.line())
	return c
}

func (c *childProcess) line() string {
	c.t.Helper()
	require.True(c.t, c.out.Scan(), "the child ended: %v", c.out.Err())
	return c.out.Text()
}

// allow lets the child append n entries.
func (c *childProcess) allow(n int) {
	c.t.Helper()
	_, err := fmt.Fprintln(c.in, n)
	require.NoError(c.t, err)
}

// acked waits for the next acknowledgement.
func (c *childProcess) acked() storage.SeqNo {
	c.t.Helper()
	n, err := strconv.ParseUint(c.line(), 10, 64)
	require.NoError(c.t, err)
	return storage.SeqNo(n)
}

// kill ends the child with SIGKILL and returns what it had acknowledged before.
func (c *childProcess) kill() {
	if c.done {
		return
	}
	c.done = true
	_ = c.cmd.Process.Kill()
	_ = c.in.Close()
	_ = c.cmd.Wait()
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

func TestLockOfAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	c := startChild(t, dir)
	host, err := os.Hostname()
	require.NoError(t, err)
	_, err = file.NewLog(dir)
	require.ErrorIs(t, err, storage.ErrLocked)
	var locked *storage.LockedError
	require.ErrorAs(t, err, &locked)
	require.Equal(t, dir, locked.Location)
	require.Equal(t, "child", locked.Holder.Owner)
	require.Contains(t, locked.Holder.Details, fmt.Sprintf("pid %d on %s since ", c.cmd.Process.Pid, host))
	require.ErrorContains(t, err, "child")

	// The lock dies with its holder, however that dies, and with nobody else.
	c.kill()
	l, err := file.NewLog(dir)
	require.NoError(t, err)
	_, err = file.NewLog(dir)
	require.ErrorAs(t, err, &locked)
	require.Contains(t, locked.Holder.Details, fmt.Sprintf("pid %d on %s since ", os.Getpid(), host))
	require.Equal(t, filepath.Base(os.Args[0]), locked.Holder.Owner)
	require.NoError(t, l.Close())
	l, err = file.NewLog(dir)
	require.NoError(t, err)
	require.NoError(t, l.Close())

	// Log and blobs of one location have locks of their own.
	l, err = file.NewLog(dir)
	require.NoError(t, err)
	b, err := file.NewBlob(dir)
	require.NoError(t, err)
	_, err = file.NewBlob(dir)
	require.ErrorIs(t, err, storage.ErrLocked)
	require.NoError(t, b.Close())
	require.NoError(t, l.Close())

	_, err = file.NewLog(dir, file.LockInfo(storage.LockInfo{Owner: "a\nb"}))
	require.ErrorContains(t, err, "line break")
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
		c := startChild(t, dir)
		c.allow(200)
		for range 30 + 17*round {
			acked = c.acked()
			seen = readNumbers(t, follower, seen)
			require.GreaterOrEqual(t, seen, acked, "the follower misses what was acknowledged")
		}
		c.kill()
		for c.out.Scan() { // what it could still say
			n, err := strconv.ParseUint(c.out.Text(), 10, 64)
			if err != nil {
				break // cut off
			}
			acked = storage.SeqNo(n)
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
	c := startChild(t, dir)
	c.allow(120)
	for range 120 {
		c.acked()
	}
	holder, err := file.NewLogReader(dir)
	require.NoError(t, err)
	holder.Hold(0)
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
	require.Equal(t, 4, files, "two locks, a segment, a blob")
	require.NoError(t, b.Close())
	require.NoError(t, l.Close())
}
