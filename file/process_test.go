//go:build unix

package file_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tidemark-go/tidemark/storage"
)

// The test binary runs itself as another process. What it is to be stands in the
// environment; what it does, it says line by line on its standard output; and it
// ends when its standard input does, so no child outlives its parent.
const childEnv = "TIDEMARK_TEST_CHILD"

func TestMain(m *testing.M) {
	if role := os.Getenv(childEnv); role != "" {
		os.Exit(runChild(role))
	}
	goleak.VerifyTestMain(m)
}

// childRole is what a child is to do.
type childRole struct {
	Role string // one of childRoles
	Dir  string
	Seed uint64 `json:",omitempty"`
	// Incarnation numbers the writers of one location, so that they never use a key
	// twice.
	Incarnation int `json:",omitempty"`
}

// childRoles is a function, as a child may start children.
func childRoles() map[string]func(*voice, childRole) error {
	return map[string]func(*voice, childRole) error{
		"log":    appendNumbers,
		"open":   holdRuntime,
		"spawn":  holdRuntimeAndSpawn,
		"sleep":  func(v *voice, _ childRole) error { v.say(said{What: "sleeping"}); v.untilToldToEnd(); return nil },
		"writer": writeUntilKilled,
		"reader": readAlong,
	}
}

func runChild(encoded string) int {
	var role childRole
	v := &voice{in: bufio.NewReader(os.Stdin)}
	err := json.Unmarshal([]byte(encoded), &role)
	if err == nil {
		err = childRoles()[role.Role](v, role)
	}
	if err != nil {
		v.say(said{What: "error", Text: err.Error()})
		return 1
	}
	return 0
}

// said is one line that a child says. Which fields mean something depends on What.
type said struct {
	What    string
	Text    string        `json:",omitempty"`
	ID      string        `json:",omitempty"` // of a command
	SeqNo   storage.SeqNo `json:",omitempty"`
	Command *command      `json:",omitempty"`
	View    *view         `json:",omitempty"`
	Event   *heard        `json:",omitempty"`
}

// voice is how a child talks to its parent.
type voice struct {
	in *bufio.Reader

	mu sync.Mutex // guards the standard output: a line is written as a whole
}

// say writes a line. It is in the pipe when it returns, and so it is not lost when
// the process is killed.
func (v *voice) say(s said) {
	line, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, err := os.Stdout.Write(append(line, '\n')); err != nil {
		os.Exit(2) // nobody listens any more
	}
}

// order waits for the next line of the parent. It reports false at the end.
func (v *voice) order() (string, bool) {
	line, err := v.in.ReadString('\n')
	return string(bytes.TrimSpace([]byte(line))), err == nil
}

func (v *voice) untilToldToEnd() { _, _ = io.Copy(io.Discard, v.in) }

type childProcess struct {
	t    testing.TB
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	errs bytes.Buffer // what it wrote to its standard error: a panic
	done bool
}

// startChild starts a child, which ends with the test at the latest.
func startChild(t testing.TB, role childRole) *childProcess {
	t.Helper()
	encoded, err := json.Marshal(role)
	require.NoError(t, err)
	c := &childProcess{t: t, cmd: exec.Command(os.Args[0])}
	c.cmd.Env = append(os.Environ(), childEnv+"="+string(encoded))
	c.cmd.SysProcAttr = childAttributes
	c.cmd.Stderr = &c.errs
	c.in, err = c.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := c.cmd.StdoutPipe()
	require.NoError(t, err)
	c.out = bufio.NewReader(out)
	require.NoError(t, c.cmd.Start())
	t.Cleanup(func() { c.kill() })
	return c
}

func (c *childProcess) pid() int { return c.cmd.Process.Pid }

// tell sends the child a line.
func (c *childProcess) tell(line string) {
	c.t.Helper()
	_, err := fmt.Fprintln(c.in, line)
	require.NoError(c.t, err)
}

// hear waits for the next line of the child. It reports false when the child has
// ended; a line that a kill cut off does not count.
func (c *childProcess) hear() (s said, ok bool) {
	c.t.Helper()
	line, err := c.out.ReadBytes('\n')
	if err != nil {
		return said{}, false
	}
	require.NoError(c.t, json.Unmarshal(line, &s), "%s", line)
	require.NotEqual(c.t, "error", s.What, "the child failed: %s", s.Text)
	return s, true
}

// until waits until the child says something.
func (c *childProcess) until(what string) said {
	c.t.Helper()
	for {
		s, ok := c.hear()
		require.True(c.t, ok, "the child ended before it said %q: %s", what, &c.errs)
		if s.What == what {
			return s
		}
	}
}

// signal sends SIGSTOP, SIGCONT or SIGKILL.
func (c *childProcess) signal(s syscall.Signal) {
	c.t.Helper()
	require.NoError(c.t, c.cmd.Process.Signal(s))
}

// standStill stops the child, and returns when all of it has stopped.
func (c *childProcess) standStill() {
	c.t.Helper()
	c.signal(syscall.SIGSTOP)
	var status syscall.WaitStatus
	_, err := syscall.Wait4(c.pid(), &status, syscall.WUNTRACED, nil)
	require.NoError(c.t, err)
	require.True(c.t, status.Stopped(), "the child ended: %s", &c.errs)
}

// kill ends the child with SIGKILL, if it has not ended, and returns what it could
// still say.
func (c *childProcess) kill() (rest []said) {
	if c.done {
		return nil
	}
	_ = c.cmd.Process.Kill()
	return c.rest()
}

// end lets the child end in its own time.
func (c *childProcess) end() (rest []said) {
	c.t.Helper()
	require.NoError(c.t, c.in.Close())
	rest = c.rest()
	require.True(c.t, c.cmd.ProcessState.Success(), "the child ended with %s: %s", c.cmd.ProcessState, &c.errs)
	return rest
}

func (c *childProcess) rest() (rest []said) {
	c.done = true
	for {
		s, ok := c.hear()
		if !ok {
			break
		}
		rest = append(rest, s)
	}
	_ = c.in.Close()
	_ = c.cmd.Wait() // how it ended is in ProcessState
	require.NotContains(c.t, c.errs.String(), "panic:", "in the child")
	return rest
}
