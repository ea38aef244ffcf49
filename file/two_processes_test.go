//go:build unix

package file_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/internal/proof"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

// holdRuntime opens a runtime and keeps it until it is told to end. A line of its
// input makes it write as many commands, one time each, to a stream.
func holdRuntime(v *voice, role childRole) error {
	ctx := context.Background()
	cfg, segments := hurried()
	client, err := file.Open(ctx, role.Dir, cfg, segments)
	if errors.Is(err, persist.ErrLocked) {
		v.say(said{What: "locked", Text: err.Error()})
		return nil
	}
	if err != nil {
		return err
	}
	w, _, err := persist.CreateOrLoad(ctx, client, "s", codec.String, codec.String)
	if err != nil {
		return err
	}
	v.say(said{What: "open"})
	for {
		line, ok := v.order()
		if !ok {
			return client.Stop()
		}
		n, err := strconv.Atoi(line)
		if err != nil {
			return err
		}
		for range n {
			d, err := client.Description(ctx, "s")
			if err != nil {
				return err
			}
			at, _ := d.Upper.Elem()
			r := row{Key: fmt.Sprintf("%d-%d", os.Getpid(), at), Size: 500, Time: at, Diff: 1}
			seqno, err := w.CompareAndAppend(ctx, updatesOf([]row{r}), frontier.At(at), frontier.At(at+1)).Wait(ctx)
			if err != nil {
				v.say(said{What: "failed", Text: err.Error()})
				break
			}
			v.say(said{What: "acked", ID: r.Key, SeqNo: seqno})
		}
	}
}

// holdRuntimeAndSpawn is holdRuntime that has started a process of its own, which
// lives on when it dies.
func holdRuntimeAndSpawn(v *voice, role childRole) error {
	cfg, segments := hurried()
	client, err := file.Open(context.Background(), role.Dir, cfg, segments)
	if err != nil {
		return err
	}
	encoded, err := json.Marshal(childRole{Role: "sleep"})
	if err != nil {
		return err
	}
	grandchild := exec.Command(os.Args[0])
	grandchild.Env = append(os.Environ(), childEnv+"="+string(encoded))
	grandchild.Stdin = os.Stdin // so that it ends when the test does
	out, err := grandchild.StdoutPipe()
	if err == nil {
		err = grandchild.Start()
	}
	if err == nil {
		_, err = io.ReadAtLeast(out, make([]byte, 1), 1) // it runs
	}
	if err != nil {
		return err
	}
	v.say(said{What: "open", ID: strconv.Itoa(grandchild.Process.Pid)})
	v.untilToldToEnd()
	return errors.Join(client.Stop(), grandchild.Wait())
}

func openHere(t *testing.T, dir string) (*persist.Client, error) {
	cfg, segments := hurried()
	return file.Open(t.Context(), dir, cfg, segments)
}

func requireOpens(t *testing.T, dir string) {
	t.Helper()
	client, err := openHere(t, dir)
	require.NoError(t, err)
	require.NoError(t, client.Stop())
}

func requireLockedBy(t *testing.T, dir string, pid int) {
	t.Helper()
	_, err := openHere(t, dir)
	var locked *storage.LockedError
	require.ErrorAs(t, err, &locked)
	require.ErrorIs(t, err, persist.ErrLocked)
	host, err := os.Hostname()
	require.NoError(t, err)
	require.Equal(t, dir, locked.Location)
	require.Equal(t, filepath.Base(os.Args[0]), locked.Holder.Owner)
	require.Contains(t, locked.Holder.Details, fmt.Sprintf("pid %d on %s since ", pid, host))
}

// TestLockOfAnotherProcess: the second writer is told who the first one is, as long
// as that lives, also while it is stopped; and no longer.
func TestLockOfAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	c := startChild(t, childRole{Role: "open", Dir: dir})
	c.until("open")
	requireLockedBy(t, dir, c.pid())
	c.signal(syscall.SIGSTOP)
	requireLockedBy(t, dir, c.pid())
	c.signal(syscall.SIGCONT)
	requireLockedBy(t, dir, c.pid())
	c.kill()
	requireOpens(t, dir)

	c = startChild(t, childRole{Role: "open", Dir: dir})
	c.until("open")
	requireLockedBy(t, dir, c.pid())
	c.end()
	client, err := openHere(t, dir)
	require.NoError(t, err)
	requireLockedBy(t, dir, os.Getpid()) // also for the process that has it
	require.NoError(t, client.Stop())
}

// TestLockInfo: a holder may say who it is, and log and blobs of one location have
// locks of their own.
func TestLockInfo(t *testing.T) {
	dir := t.TempDir()
	l, err := file.NewLog(dir, file.LockInfo(storage.LockInfo{Owner: "importer", Details: "of the night"}))
	require.NoError(t, err)
	b, err := file.NewBlob(dir)
	require.NoError(t, err)
	_, err = file.NewBlob(dir)
	require.ErrorIs(t, err, storage.ErrLocked)
	require.NoError(t, b.Close())
	_, err = file.NewLog(dir)
	var locked *storage.LockedError
	require.ErrorAs(t, err, &locked)
	require.Equal(t, storage.LockInfo{Owner: "importer", Details: "of the night"}, locked.Holder)
	require.NoError(t, l.Close())
	_, err = file.NewLog(dir, file.LockInfo(storage.LockInfo{Owner: "a\nb"}))
	require.ErrorContains(t, err, "line break")
}

// TestRaceToOpen: of ten processes that open a location at once, one has it.
func TestRaceToOpen(t *testing.T) {
	rounds := proof.Pick(2, 10, 200)
	dir := t.TempDir()
	for range rounds {
		var children []*childProcess
		for range 10 {
			children = append(children, startChild(t, childRole{Role: "open", Dir: dir}))
		}
		won := 0
		for _, c := range children {
			s, ok := c.hear()
			require.True(t, ok, "%s", &c.errs)
			if s.What == "open" {
				won++
			} else {
				require.Equal(t, "locked", s.What)
				require.Contains(t, s.Text, dir)
			}
		}
		require.Equal(t, 1, won)
		for _, c := range children {
			c.kill()
		}
	}
	requireOpens(t, dir)
	proof.Reached(t, 6, "races of ten processes to open a location", rounds)
}

// TestLockIsNotInherited: the lock dies with its holder, although a process that the
// holder had started lives on.
func TestLockIsNotInherited(t *testing.T) {
	dir := t.TempDir()
	c := startChild(t, childRole{Role: "spawn", Dir: dir})
	pid, err := strconv.Atoi(c.until("open").ID)
	require.NoError(t, err)
	requireLockedBy(t, dir, c.pid())
	c.signal(syscall.SIGKILL)
	_, ok := c.hear() // the end of its output: it is dead
	require.False(t, ok)
	require.NoError(t, syscall.Kill(pid, 0), "the grandchild is dead as well, so nothing was tested")
	requireOpens(t, dir)
	c.kill()
}

// wrote is what a child has been told was durable.
type wrote struct {
	keys  []string
	fails []string
}

// order lets a child write n commands, and waits for the answers.
func (w *wrote) order(t *testing.T, c *childProcess, n int) {
	t.Helper()
	c.tell(strconv.Itoa(n))
	for range n {
		s, ok := c.hear()
		require.True(t, ok, "%s", &c.errs)
		if s.What == "failed" {
			w.fails = append(w.fails, s.Text)
			return
		}
		w.keys = append(w.keys, s.ID)
	}
}

// requireWritten requires that a location holds just these rows.
func requireWritten(t *testing.T, dir string, keys ...string) {
	t.Helper()
	client, err := openHere(t, dir)
	require.NoError(t, err)
	views := viewClient(t, client)
	require.NoError(t, client.Stop())
	require.Len(t, views, 1)
	var found []string
	for _, r := range views[0].Rows {
		found = append(found, r.Key)
	}
	require.ElementsMatch(t, keys, found)
}

// TestLockFileTakenAway: somebody removes or replaces the lock files under a running
// writer. The location stays its own: who comes second is refused, and nothing that
// was acknowledged is overwritten.
func TestLockFileTakenAway(t *testing.T) {
	for name, take := range map[string]func(t *testing.T, dir string){
		"lock files removed": func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, "log", "LOCK")))
			require.NoError(t, os.Remove(filepath.Join(dir, "blob", "LOCK")))
		},
		"lock files replaced": func(t *testing.T, dir string) {
			for _, name := range []string{filepath.Join(dir, "log", "LOCK"), filepath.Join(dir, "blob", "LOCK")} {
				require.NoError(t, os.WriteFile(name+".new", []byte("x\ny"), 0o600))
				require.NoError(t, os.Rename(name+".new", name))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			first := startChild(t, childRole{Role: "open", Dir: dir})
			first.until("open")
			var one wrote
			one.order(t, first, 20)
			take(t, dir)
			second := startChild(t, childRole{Role: "open", Dir: dir})
			s, ok := second.hear()
			require.True(t, ok)
			require.Equal(t, "locked", s.What)
			one.order(t, first, 60)
			require.Empty(t, one.fails)
			first.kill()
			second.kill()
			requireWritten(t, dir, one.keys...)
		})
	}
}

// TestLocationMoved: a location that is moved away stays with its writer, which may
// fail, but is told of nothing as durable that is not in what was moved; and one that
// is made anew in the old place belongs to who makes it.
func TestLocationMoved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a")
	moved := dir + "-moved"
	first := startChild(t, childRole{Role: "open", Dir: dir})
	first.until("open")
	var one, two wrote
	one.order(t, first, 20)
	require.NoError(t, os.Rename(dir, moved))
	requireLockedBy(t, moved, first.pid())

	second := startChild(t, childRole{Role: "open", Dir: dir})
	second.until("open")
	two.order(t, second, 40)
	one.order(t, first, 100)
	two.order(t, second, 60)
	require.NotEmpty(t, one.fails, "it writes by names that lead elsewhere now")
	require.Empty(t, two.fails)
	first.kill()
	second.kill()
	requireWritten(t, dir, two.keys...)
	requireWritten(t, moved, one.keys...)
}

// TestCopyOfALiveLocation: a copy of a location that is being written is not
// promised to be of use. It is damaged, and says so when it is opened or read, or it is
// a state that the location had. A copy that is made while the writer stands still is
// what a killed one leaves, and opens.
func TestCopyOfALiveLocation(t *testing.T) {
	copies := proof.Pick(2, 10, 100)
	dir := t.TempDir()
	opened := 0
	c := startChild(t, childRole{Role: "open", Dir: dir})
	c.until("open")
	c.tell("1000000")
	for range copies {
		for range 30 {
			c.until("acked")
		}
		if openCopy(t, c, dir) {
			opened++
		}
	}
	c.until("acked")
	c.standStill()
	require.True(t, openCopy(t, c, dir), "of a location that nobody was writing to")
	c.kill()
	proof.Reached(t, 6, "copies of a live location", copies)
	t.Logf("%d of %d copies opened", opened, copies)
}

// openCopy copies a location and opens the copy, which holds what the child had written
// up to some moment. It reports false if the copy is damaged.
func openCopy(t *testing.T, c *childProcess, dir string) bool {
	t.Helper()
	target := filepath.Join(t.TempDir(), "copy")
	copyWhatIsThere(t, dir, target)
	client, err := openHere(t, target)
	if err != nil {
		require.ErrorIs(t, err, persist.ErrCorrupt)
		return false
	}
	_, reader, err := persist.CreateOrLoad(t.Context(), client, "s", codec.String, codec.String)
	require.NoError(t, err)
	s, err := reader.Snapshot(t.Context())
	require.NoError(t, err)
	v, err := viewOf(t.Context(), "s", s)
	require.NoError(t, client.Stop())
	if err != nil { // a file was deleted before its turn to be copied came
		require.ErrorIs(t, err, persist.ErrCorrupt)
		return false
	}
	require.Len(t, v.Rows, int(v.Upper))
	for _, r := range v.Rows {
		require.Equal(t, fmt.Sprintf("%d-%d", c.pid(), r.Time), r.Key)
		require.EqualValues(t, 1, r.Diff)
		require.Less(t, r.Time, v.Upper)
	}
	return true
}

// copyWhatIsThere copies file by file, as cp -r does, and skips what has vanished.
func copyWhatIsThere(t *testing.T, from, to string) {
	require.NoError(t, filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		require.NoError(t, err)
		rel, err := filepath.Rel(from, path)
		require.NoError(t, err)
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		require.NoError(t, err)
		return os.WriteFile(filepath.Join(to, rel), data, 0o600)
	}))
}
