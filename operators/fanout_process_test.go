package operators_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/reugn/go-streams/flow"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/internal/proof"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/sink"
	"github.com/tidemark-go/tidemark/operators/source"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// fanOut is the pipeline of TestFanOutKilledAndCutOff: one source, three branches, each of
// them a parallel map and a sink on a stream of its own.
//
//	backlog -> source -> FanOut -+-> map x 4, at once    -> sink on out-0
//	                             +-> map x 4, slow       -> sink on out-1
//	                             +-> map x 4, now and then very slow -> sink on out-2
const (
	fanOutBranches = 3
	fanOutDir      = "TIDEMARK_TEST_FAN_OUT"
	fanOutSeed     = "TIDEMARK_TEST_FAN_OUT_SEED"
	fanOutValue    = 1 << 10 // bytes of a value of the backlog
	fanOutRows     = 16      // of each time
)

// fanOutSize returns what the backlog has in this tier: times, and what a batch has at most.
func fanOutSize() (times uint64, batchUpdates int) {
	bytes := proof.Pick(1<<20, 16<<20, 1<<30)
	return uint64(bytes / fanOutValue / fanOutRows), proof.Pick(64, 512, 4096)
}

// A backlog goes through three branches of different speed while the process is killed at
// random moments and the log is away for a while, up to a minute. Each life begins at the
// least upper of the three outputs. In the end each has what an undisturbed run would have
// written: every row once, at its time.
func TestFanOutKilledAndCutOff(t *testing.T) {
	if dir := os.Getenv(fanOutDir); dir != "" {
		seed, _ := strconv.ParseUint(os.Getenv(fanOutSeed), 10, 64)
		if err := fanOutLife(context.Background(), dir, seed); err != nil {
			fmt.Fprintln(os.Stderr, "life:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	seed := proof.Seed(t)
	rng := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	times, perBatch := fanOutSize()
	writeBacklog(t, dir, times)

	// What kills are spread over: a line for each batch of each branch. A life makes half of
	// its share on average, so that there is something left for all of them.
	lines := fanOutBranches * int(times) * fanOutRows / perBatch
	kills, wanted := 0, proof.Pick(3, 10, 200)
	for ; kills < wanted; kills++ {
		if !runFanOut(t, dir, rng.Uint64(), rng.IntN(lines/wanted+2)) {
			break
		}
	}
	require.GreaterOrEqual(t, kills, wanted/2, "the pipeline was done before it had been killed often enough")
	require.False(t, runFanOut(t, dir, rng.Uint64(), -1))

	client, err := file.OpenRead(t.Context(), dir, persist.Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	for branch := range fanOutBranches {
		requireFanOut(t, client, branch, times)
	}
	proof.Reached(t, 6, "kills of a pipeline of three branches", kills)
}

// runFanOut runs one life of the pipeline, which is killed when so many batches were seen;
// -1 is never. It reports whether it was killed.
func runFanOut(t *testing.T, dir string, seed uint64, lines int) (killed bool) {
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFanOutKilledAndCutOff$")
	child.Env = append(os.Environ(), fanOutDir+"="+dir, fanOutSeed+"="+strconv.FormatUint(seed, 10))
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	seen := 0
	for in := bufio.NewScanner(out); in.Scan(); seen++ {
		if seen == lines {
			require.NoError(t, child.Process.Kill())
		}
	}
	err = child.Wait()
	if err == nil {
		return false
	}
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, -1, exit.ExitCode(), "a life of seed %d ended by itself", seed)
	return true
}

// fanOutLife goes on with the pipeline until all of the backlog is in all outputs.
func fanOutLife(ctx context.Context, dir string, seed uint64) (err error) {
	log, err := file.NewLog(dir)
	if err != nil {
		return err
	}
	blob, err := file.NewBlob(dir)
	if err != nil {
		return errors.Join(err, log.Close())
	}
	unreliable := mem.NewUnreliable()
	client, err := persist.Start(ctx, unreliable.Log(log), blob, persist.Config{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	_, backlog, err := persist.CreateOrLoad(ctx, client, "backlog", codec.Uint64, codec.Bytes)
	if err != nil {
		return err
	}
	var sinks []*sink.Sink[uint64, []byte]
	least := frontier.Empty()
	for branch := range fanOutBranches {
		name := fmt.Sprintf("out-%d", branch)
		write, _, err := persist.CreateOrLoad(ctx, client, name, codec.Uint64, codec.Bytes)
		if err != nil {
			return err
		}
		d, err := client.Description(ctx, name)
		if err != nil {
			return err
		}
		if d.Upper.LessThan(least) {
			least = d.Upper
		}
		sinks = append(sinks, sink.New(ctx, write))
	}

	times, perBatch := fanOutSize()
	rng := rand.New(rand.NewPCG(seed, 1))
	outage := fanOutOutage(rng)
	reading, stop := context.WithCancel(ctx)
	defer stop()
	batches := source.NewBatches(reading, backlog, source.From(least), source.MaxBatchUpdates(perBatch))
	cutOffAt := rng.IntN(8)
	var mu sync.Mutex // guards pace and seen: calls of a map run side by side
	pace := rand.New(rand.NewPCG(seed, 2))
	seen := 0
	for branch, out := range flow.FanOut(batches, fanOutBranches) {
		go out.Via(flow.NewMap(func(b operators.Batch[uint64, []byte]) operators.Batch[uint64, []byte] {
			mu.Lock()
			delay := fanOutDelay(pace, branch)
			if seen == cutOffAt {
				unreliable.SetDown()
				time.AfterFunc(outage, unreliable.SetUp)
			}
			seen++
			mu.Unlock()
			<-time.After(delay)
			fmt.Println(branch, b.Lower)
			return fanOutBranch(branch, b)
		}, 4)).To(sinks[branch])
	}
	for branch, s := range sinks {
		if err := s.Probe().Wait(ctx, times); err != nil {
			return fmt.Errorf("branch %d: %w", branch, errors.Join(err, s.Err()))
		}
	}
	stop()
	for branch, s := range sinks {
		s.AwaitCompletion()
		if err := s.Err(); err != nil {
			return fmt.Errorf("branch %d: %w", branch, err)
		}
	}
	return nil
}

// fanOutOutage is how long the log is away in a life: some milliseconds, and in tier B a
// whole minute in one of twenty.
func fanOutOutage(rng *rand.Rand) time.Duration {
	if proof.Pick(false, false, true) && rng.IntN(20) == 0 {
		return time.Minute
	}
	return time.Duration(rng.IntN(20)) * time.Millisecond
}

// fanOutDelay is how long a branch takes for a batch.
func fanOutDelay(pace *rand.Rand, branch int) time.Duration {
	switch {
	case branch == 1:
		return time.Duration(pace.IntN(2000)) * time.Microsecond
	case branch == 2 && pace.IntN(16) == 0:
		return 20 * time.Millisecond
	}
	return 0
}

// fanOutBranch is what a branch makes of a batch, which the others have as well.
func fanOutBranch(branch int, b operators.Batch[uint64, []byte]) operators.Batch[uint64, []byte] {
	updates := make([]persist.Update[uint64, []byte], len(b.Updates))
	for i, u := range b.Updates {
		u.Val = fanOutResult(branch, u.Val)
		updates[i] = u
	}
	b.Updates = updates
	return b
}

// fanOutResult is the value that a branch makes of one of the backlog.
func fanOutResult(branch int, val []byte) []byte {
	return append([]byte{byte(branch)}, val[:len(val)>>(2*branch)]...)
}

// backlogValue is the value of a row of the backlog.
func backlogValue(row uint64) []byte {
	val := make([]byte, fanOutValue)
	rng := rand.NewPCG(row, 3)
	for i := 0; i < len(val); i += 8 {
		binary.LittleEndian.PutUint64(val[i:], rng.Uint64())
	}
	return val
}

// writeBacklog writes and seals the input, some times in a command.
func writeBacklog(t *testing.T, dir string, times uint64) {
	client, err := file.Open(t.Context(), dir, persist.Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	write, _, err := persist.CreateOrLoad(t.Context(), client, "backlog", codec.Uint64, codec.Bytes)
	require.NoError(t, err)
	const step = 64
	for from := uint64(0); from < times; from += step {
		to := min(times, from+step)
		var updates []persist.Update[uint64, []byte]
		for row := from * fanOutRows; row < to*fanOutRows; row++ {
			updates = append(updates, persist.Update[uint64, []byte]{Key: row, Val: backlogValue(row), Time: row / fanOutRows, Diff: 1})
		}
		_, err := write.CompareAndAppend(t.Context(), updates, frontier.At(from), frontier.At(to)).Wait(t.Context())
		require.NoError(t, err)
	}
}

// requireFanOut compares an output with what an undisturbed run writes, row by row.
func requireFanOut(t *testing.T, client *persist.ReadClient, branch int, times uint64) {
	name := fmt.Sprintf("out-%d", branch)
	read, err := persist.Load(t.Context(), client, name, codec.Uint64, codec.Bytes)
	require.NoError(t, err)
	s, err := read.Snapshot(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	require.Equal(t, frontier.At(times), s.Upper(), name)
	next := uint64(0)
	for u, err := range s.Consolidated(t.Context()) {
		require.NoError(t, err)
		want := persist.Update[uint64, []byte]{Key: next, Val: fanOutResult(branch, backlogValue(next)), Time: next / fanOutRows, Diff: 1}
		require.Equal(t, want, u, "%s, row %d", name, next)
		next++
	}
	require.Equal(t, times*fanOutRows, next, name)
}
