package main

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tidemark-go/tidemark/internal/proof"
)

// A test binary that finds this variable set is the program itself.
const asProgram = "EARTHQUAKES_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// table returns what a complete run prints after its blank line.
func table(t *testing.T, output string) string {
	_, after, ok := strings.Cut(output, "\n\n")
	require.True(t, ok, "no table in:\n%s", output)
	return after
}

func runHere(t *testing.T, dir string) string {
	var out bytes.Buffer
	require.NoError(t, run(context.Background(), dir, "", &crasher{}, &out))
	return out.String()
}

func TestRunAndRunAgain(t *testing.T) {
	dir := t.TempDir()
	want, err := os.ReadFile("testdata/table.txt")
	require.NoError(t, err)

	first := runHere(t, dir)
	require.Contains(t, first, "of 1707 reports 1707 new")
	require.Equal(t, strings.TrimSpace(string(want)), strings.TrimSpace(table(t, first)))

	second := runHere(t, dir)
	require.Contains(t, second, "of 1707 reports nothing new")
	require.Equal(t, table(t, first), table(t, second))
}

// A later feed corrects a report and takes an earthquake to another day: the old
// summaries are retracted.
func TestLaterFeedCorrects(t *testing.T) {
	dir := t.TempDir()
	ctx := context.Background()
	feed := func(magnitude string, updated int) string {
		path := t.TempDir() + "/feed.json"
		require.NoError(t, os.WriteFile(path, []byte(`{"features":[{"id":"a","properties":{"net":"xx","mag":`+magnitude+
			`,"time":0,"updated":`+strconv.Itoa(updated)+`}}]}`), 0o600))
		return path
	}
	var out bytes.Buffer
	require.NoError(t, run(ctx, dir, feed("3.5", 10), &crasher{}, &out))
	require.Contains(t, table(t, out.String()), "xx       1970-01-01        1        3.5")
	out.Reset()
	require.NoError(t, run(ctx, dir, feed("1.25", 20), &crasher{}, &out))
	require.Contains(t, table(t, out.String()), "xx       1970-01-01        1        1.2")
	require.NotContains(t, table(t, out.String()), "3.5")
}

// killsOfASeed is how many hard kills TestKilledAtRandomMoments makes for each seed.
const killsOfASeed = 5

// The program is killed at random moments, and again while it recovers, until it
// was killed often enough; whenever it is left alone it ends with the table of an
// undisturbed run. The seed repeats how often and after how many batches, and not
// the moment.
func TestKilledAtRandomMoments(t *testing.T) {
	want, err := os.ReadFile("testdata/table.txt")
	require.NoError(t, err)
	var kills atomic.Int64
	proof.Run(t, proof.Pick(4, 10, 100), func(t *testing.T, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 0))
		for killed, rounds := 0, 0; killed < killsOfASeed; rounds++ {
			require.Less(t, rounds, 4*killsOfASeed, "too few of the runs were killed")
			dir := t.TempDir()
			for range 1 + rng.IntN(4) {
				if killedRun(t, dir, 1+rng.IntN(30)) {
					killed++
					kills.Add(1)
				}
			}
			require.Equal(t, strings.TrimSpace(string(want)), strings.TrimSpace(table(t, runHere(t, dir))))
		}
	})
	proof.Reached(t, 6, "kills of a pipeline", kills.Load())
}

// killedRun runs the program in a process of its own and reports whether it was
// killed before it was done.
func killedRun(t *testing.T, dir string, after int) bool {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-dir", dir, "-crash-after", strconv.Itoa(after))
	cmd.Env = append(os.Environ(), asProgram+"=1")
	output, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		require.Equal(t, -1, exit.ExitCode(), "the program failed instead of being killed:\n%s", output)
		return true
	}
	require.NoError(t, err, "%s", output)
	return false
}
