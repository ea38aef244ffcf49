package mem_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/storage"
)

// unreliable returns a place with its log and blobs open through an Unreliable.
func unreliable(t testing.TB) (*mem.Place, *mem.Unreliable, storage.Log, storage.Blob) {
	p, u := mem.NewPlace("orders"), mem.NewUnreliable()
	return p, u, u.Log(openLog(t, p, alice)), u.Blob(openBlob(t, p, alice))
}

// firstError returns the first error of a sequence.
func firstError[T any](seq func(func(T, error) bool)) (first error) {
	for _, err := range seq {
		if err != nil {
			return err
		}
	}
	return nil
}

// operations are all the operations of a location that holds an entry and "a".
func operations(ctx context.Context, log storage.Log, blob storage.Blob, reader storage.BlobReader) map[mem.Op]func() error {
	return map[mem.Op]func() error{
		mem.OpAppend:   func() error { _, err := log.Append(ctx, 1, text("b")); return err },
		mem.OpTruncate: func() error { return log.Truncate(ctx, 1) },
		mem.OpBounds:   func() error { _, err := log.Bounds(ctx); return err },
		mem.OpRead:     func() error { return firstError(log.Read(ctx, 0)) },
		mem.OpGet:      func() error { _, _, err := blob.Get(ctx, "a"); return err },
		mem.OpGetRange: func() error { _, err := blob.GetRange(ctx, "a", 0, 1); return err },
		mem.OpList:     func() error { return firstError(blob.List(ctx, "")) },
		mem.OpSet:      func() error { _, err := blob.Set(ctx, "b", []byte("B")); return err },
		mem.OpSetIf:    func() error { _, err := blob.SetIf(ctx, "c", []byte("C"), storage.NoVersion); return err },
		mem.OpDelete:   func() error { return blob.Delete(ctx, "a") },
		mem.OpPin:      func() error { _, err := reader.(storage.Pinner).Pin(ctx, "a"); return err },
	}
}

func TestUpDownUp(t *testing.T) {
	p, u, log, blob := unreliable(t)
	reader := u.BlobReader(p.OpenBlobReader())
	_, err := log.Append(t.Context(), 0, text("a"))
	require.NoError(t, err)
	_, err = blob.Set(t.Context(), "a", []byte("A"))
	require.NoError(t, err)

	u.SetDown()
	all := operations(t.Context(), log, blob, reader)
	for op, do := range all {
		err := do()
		require.EqualError(t, err, "unavailable: "+string(op))
		require.ErrorIs(t, err, mem.ErrUnavailable)
		require.ErrorIs(t, err, storage.ErrNoEffect)
	}
	require.Equal(t, []string{"a"}, contents(t, p))
	require.Equal(t, "A", value(t, p, "a"))
	require.Empty(t, value(t, p, "b")+value(t, p, "c"))

	u.SetUp()
	for _, op := range []mem.Op{mem.OpPin, mem.OpAppend, mem.OpRead, mem.OpBounds, mem.OpTruncate, mem.OpGet, mem.OpGetRange, mem.OpSet, mem.OpSetIf, mem.OpList, mem.OpDelete} {
		require.NoError(t, all[op](), op)
	}
	for op := range all {
		require.GreaterOrEqual(t, u.Calls(op), 2, op)
	}

	// Close happens all the same, so that the lock is free.
	u.SetDown()
	require.EqualError(t, log.Close(), "unavailable: log close")
	err = blob.Close()
	require.EqualError(t, err, "unavailable: blob close")
	require.NotErrorIs(t, err, storage.ErrNoEffect)
	require.EqualError(t, reader.Close(), "unavailable: blob close")
	openLog(t, p, bob)
}

func TestOutcomes(t *testing.T) {
	for _, test := range []struct {
		fault   mem.Fault
		entries []string // what the append leaves behind
		blob    string   // what the set leaves behind
		text    string
	}{
		{mem.Fault{}, nil, "", "unavailable: "},
		{mem.Fault{Err: syscall.ENOSPC}, nil, "", "no space left on device: "},
		{mem.Fault{Outcome: mem.Vanished}, nil, "", "timed out: "},
		{mem.Fault{Outcome: mem.Vanished, Parts: 2}, nil, "", "timed out: "},
		{mem.Fault{Outcome: mem.Refused, Parts: 2}, nil, "", "unavailable: "},
		{mem.Fault{Outcome: mem.AnswerLost}, []string{"a", "b", "c"}, "A", "timed out: "},
		{mem.Fault{Outcome: mem.AnswerLost, Err: syscall.EIO}, []string{"a", "b", "c"}, "A", "input/output error: "},
		{mem.Fault{Outcome: mem.Torn}, nil, "", "timed out: "},
		{mem.Fault{Outcome: mem.Torn, Parts: 2}, []string{"a", "b"}, "", "timed out: "},
		{mem.Fault{Outcome: mem.Torn, Parts: 9}, []string{"a", "b", "c"}, "", "timed out: "},
	} {
		p, u, log, blob := unreliable(t)
		u.Inject(mem.Fault{Op: mem.OpAppend, Outcome: test.fault.Outcome, Parts: test.fault.Parts, Err: test.fault.Err})
		u.Inject(mem.Fault{Op: mem.OpSet, Outcome: test.fault.Outcome, Parts: test.fault.Parts, Err: test.fault.Err})
		appendErr, setErr := appending(log, 0, "a", "b", "c")(), setting(blob, "a", "A")()
		require.EqualError(t, appendErr, test.text+"log append")
		require.EqualError(t, setErr, test.text+"blob set")
		require.Equal(t, test.entries, contents(t, p), "%+v", test.fault)
		require.Equal(t, test.blob, value(t, p, "a"), "%+v", test.fault)

		next := storage.SeqNo(len(test.entries))
		if test.fault.Outcome == mem.Refused {
			require.ErrorIs(t, appendErr, storage.ErrNoEffect)
			require.ErrorIs(t, setErr, storage.ErrNoEffect)
			require.NoError(t, appending(log, next, "d")())
			continue
		}
		requireUnknown(t, appendErr)
		requireUnknown(t, setErr)
		requireUnknown(t, appending(log, next, "d")())
		require.Equal(t, test.entries, contents(t, p), "an append after one with an unknown outcome")
		require.NoError(t, appending(u.Log(openLog(t, p, alice)), next, "d")())
	}
}

func TestFaultsStrikeWhereTheyAreTold(t *testing.T) {
	_, u, _, blob := unreliable(t)
	// run returns which of ten sets of a key fail.
	run := func(key string) (failed []int) {
		for i := 1; i <= 10; i++ {
			if setting(blob, key, "v")() != nil {
				failed = append(failed, i)
			}
		}
		return failed
	}
	u.Inject(mem.Fault{Op: mem.OpSet})
	require.Equal(t, []int{1}, run("a"))
	u.Inject(mem.Fault{Op: mem.OpSet, Nth: 4})
	require.Equal(t, []int{4}, run("a"))
	require.Empty(t, run("a"))

	remove := u.Inject(mem.Fault{Op: mem.OpSet, Nth: 8, Sticky: true})
	require.Equal(t, []int{8, 9, 10}, run("a"))
	require.Len(t, run("a"), 10)
	remove()
	remove()
	require.Empty(t, run("a"))

	u.Inject(mem.Fault{Op: mem.OpSet, Nth: 2})
	u.Inject(mem.Fault{Op: mem.OpSet, Nth: 2})
	u.Inject(mem.Fault{Op: mem.OpSet, Nth: 5})
	require.Equal(t, []int{2, 5}, run("a"), "all faults count a call; the oldest that is due strikes")
	require.Equal(t, []int(nil), run("a"))
}

func TestFaultsByKeyAndOfAnyOperation(t *testing.T) {
	_, u, log, blob := unreliable(t)
	remove := u.Inject(mem.Fault{Key: "batch/", Sticky: true})
	require.NoError(t, setting(blob, "manifest", "v")())
	require.Error(t, setting(blob, "batch/1", "v")())
	_, _, err := blob.Get(t.Context(), "batch/1")
	require.ErrorIs(t, err, mem.ErrUnavailable)
	require.NoError(t, firstError(blob.List(t.Context(), "")))
	require.Error(t, firstError(blob.List(t.Context(), "batch/")))
	require.NoError(t, appending(log, 0, "a")())
	remove()

	u.Inject(mem.Fault{Nth: 3})
	require.NoError(t, setting(blob, "a", "v")())
	require.NoError(t, appending(log, 1, "b")())
	_, err = log.Bounds(t.Context())
	require.EqualError(t, err, "unavailable: log bounds")
}

func TestSequencesFailInTheMiddle(t *testing.T) {
	_, u, log, blob := unreliable(t)
	require.NoError(t, appending(log, 0, "a", "b", "c")())
	for _, key := range []string{"a", "b", "c"} {
		require.NoError(t, setting(blob, key, "v")())
	}
	for parts := range 5 {
		u.Inject(mem.Fault{Op: mem.OpRead, Parts: parts})
		u.Inject(mem.Fault{Op: mem.OpList, Parts: parts, Outcome: mem.AnswerLost})
		var read, listed []string
		var readErr, listErr error
		for entry, err := range log.Read(t.Context(), 0) {
			require.NoError(t, readErr)
			if readErr = err; err == nil {
				read = append(read, string(entry.Data))
			}
		}
		for info, err := range blob.List(t.Context(), "") {
			require.NoError(t, listErr)
			if listErr = err; err == nil {
				listed = append(listed, info.Key)
			}
		}
		want := []string{"a", "b", "c"}[:min(parts, 3)]
		require.Equal(t, want, append([]string{}, read...))
		require.Equal(t, want, append([]string{}, listed...))
		require.ErrorIs(t, readErr, mem.ErrUnavailable)
		require.ErrorIs(t, listErr, mem.ErrTimedOut)
	}
	require.Equal(t, []string{"a", "b", "c"}, entries(t, log, 0))
}

// What an error says about the outcome is true, whatever chance decides.
func TestChanceNeverLies(t *testing.T) {
	classes := map[string]int{}
	for seed := range uint64(40) {
		p, u, _, blob := unreliable(t)
		random := rand.New(rand.NewPCG(seed, 0))
		u.SetChance(seed, 0.2+0.7*random.Float64(), 0.6*random.Float64())
		var want []string // the entries that are there
		for i := range 20 {
			// A new handle for each append, as after an unknown outcome.
			log := u.Log(openLog(t, p, alice))
			data := []string{fmt.Sprint(i), "second", "third"}[:1+i%3]
			err := appending(log, storage.SeqNo(len(want)), data...)()
			got := contents(t, p)
			require.True(t, slices.Equal(want, got[:len(want)]), "what was there before")
			added := got[len(want):]
			switch {
			case err == nil:
				require.Equal(t, data, added)
				classes["append"]++
			case errors.Is(err, storage.ErrNoEffect):
				require.Empty(t, added)
				classes["no append"]++
			default:
				require.True(t, slices.Equal(data[:len(added)], added), "a prefix of the entries")
				classes[fmt.Sprintf("unknown, %d of %d", len(added), len(data))]++
			}
			want = got

			key := fmt.Sprint(i)
			err = setting(blob, key, "v")()
			there := value(t, p, key) == "v"
			if err == nil || errors.Is(err, storage.ErrNoEffect) {
				require.Equal(t, err == nil, there)
			}
			classes[fmt.Sprintf("set: %t, known: %t", there, err == nil || errors.Is(err, storage.ErrNoEffect))]++
		}
	}
	for _, class := range []string{
		"append", "no append",
		"unknown, 0 of 1", "unknown, 1 of 1",
		"unknown, 0 of 3", "unknown, 1 of 3", "unknown, 2 of 3", "unknown, 3 of 3",
		"set: true, known: true", "set: false, known: true", "set: true, known: false", "set: false, known: false",
	} {
		require.Positive(t, classes[class], "%s never happened: %v", class, classes)
	}
}

func TestChanceFollowsItsSeedAndProbabilities(t *testing.T) {
	run := func(seed uint64, happen, timeOut float64) (succeeded []int) {
		_, u, _, blob := unreliable(t)
		u.SetChance(seed, happen, timeOut)
		for i := range 100 {
			if setting(blob, "a", "v")() == nil {
				succeeded = append(succeeded, i)
			}
		}
		return succeeded
	}
	usual := run(1, 0.95, 0.05)
	require.Greater(t, len(usual), 50)
	require.Less(t, len(usual), 99)
	require.Equal(t, usual, run(1, 0.95, 0.05))
	require.NotEqual(t, usual, run(2, 0.95, 0.05))
	require.Len(t, run(1, 1, 0), 100)
	require.Empty(t, run(1, 0, 1))
	require.Empty(t, run(1, 1, 1))
	require.Empty(t, run(1, 0, 0))
}

func TestGateBefore(t *testing.T) {
	p, u, log, blob := unreliable(t)
	gate := u.GateBefore(mem.OpAppend)
	ctx, cancel := context.WithCancel(t.Context())
	wait := start(func() error { _, err := log.Append(ctx, 0, text("a")); return err })
	require.NoError(t, gate.Wait(t.Context(), 1))
	require.Empty(t, contents(t, p))
	cancel()
	err := wait()
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, storage.ErrNoEffect)

	// Who waits when the gate opens meets what was decided in the meantime.
	wait = start(appending(log, 0, "a"))
	require.NoError(t, gate.Wait(t.Context(), 2))
	u.SetDown()
	gate.Open()
	require.EqualError(t, wait(), "unavailable: log append")
	u.SetUp()
	require.NoError(t, appending(log, 0, "a")(), "an open gate stops nothing")

	old, replacement := u.GateBefore(mem.OpSet), u.GateBefore(mem.OpSet)
	first := start(setting(blob, "a", "A"))
	require.NoError(t, replacement.Wait(t.Context(), 1))
	old.Open() // which must not take its replacement away
	second := start(setting(blob, "b", "B"))
	require.NoError(t, replacement.Wait(t.Context(), 2))
	require.Empty(t, value(t, p, "a")+value(t, p, "b"))
	replacement.Open()
	require.NoError(t, first())
	require.NoError(t, second())
	require.Equal(t, "AB", value(t, p, "a")+value(t, p, "b"))
}

func TestGateAfter(t *testing.T) {
	for _, op := range []mem.Op{mem.OpAppend, mem.OpSet} {
		p, u, log, blob := unreliable(t)
		gate := u.GateAfter(op)
		do := func(ctx context.Context) func() error {
			return func() error {
				if op == mem.OpSet {
					_, err := blob.Set(ctx, "a", []byte("A"))
					return err
				}
				bounds, _ := log.Bounds(ctx)
				_, err := log.Append(ctx, bounds.Last, text("A"))
				return err
			}
		}
		happened := func() bool { return value(t, p, "a") == "A" || slices.Equal(contents(t, p), []string{"A"}) }
		wait := start(do(t.Context()))
		require.NoError(t, gate.Wait(t.Context(), 1))
		require.True(t, happened(), "it has happened, but nobody knows")
		gate.Open()
		require.NoError(t, wait())

		gate = u.GateAfter(op)
		ctx, cancel := context.WithCancel(t.Context())
		wait = start(do(ctx))
		require.NoError(t, gate.Wait(t.Context(), 1))
		cancel()
		err := wait()
		require.ErrorIs(t, err, context.Canceled)
		requireUnknown(t, err)
		gate.Open()
	}
}

func TestGatesStopSequences(t *testing.T) {
	_, u, log, _ := unreliable(t)
	require.NoError(t, appending(log, 0, "a", "b")())
	before, after := u.GateBefore(mem.OpRead), u.GateAfter(mem.OpRead)
	ctx, cancel := context.WithCancel(t.Context())
	var read []string
	wait := start(func() error {
		for entry, err := range log.Read(ctx, 0) {
			if err != nil {
				return err
			}
			read = append(read, string(entry.Data))
		}
		return nil
	})
	require.NoError(t, before.Wait(t.Context(), 1))
	before.Open()
	require.NoError(t, after.Wait(t.Context(), 1))
	cancel()
	require.ErrorIs(t, wait(), context.Canceled)
	require.Equal(t, []string{"a", "b"}, read, "all entries, and no end")
}

func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, u, log, blob := unreliable(t)
		u.SetDelay(mem.Latency(1, time.Hour, 2*time.Hour))
		begin := time.Now()
		require.NoError(t, setting(blob, "a", "A")())
		require.GreaterOrEqual(t, time.Since(begin), time.Hour)
		require.Less(t, time.Since(begin), 2*time.Hour)

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := log.Append(ctx, 0, text("a"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, storage.ErrNoEffect)
		require.Empty(t, contents(t, p))
		require.ErrorIs(t, firstError(log.Read(ctx, 0)), context.DeadlineExceeded)

		var seen []mem.Op
		u.SetDelay(func(_ context.Context, op mem.Op) error { seen = append(seen, op); return nil })
		require.NoError(t, appending(log, 0, "a")())
		require.NoError(t, blob.Delete(t.Context(), "a"))
		require.Equal(t, []mem.Op{mem.OpAppend, mem.OpDelete}, seen)
		u.SetDelay(nil)
		require.NoError(t, appending(log, 1, "b")())
		require.Len(t, seen, 2)
		mem.Latency(1, time.Second, 0) // most below least means least
	})
}

// A wrapper has the optional abilities of what it wraps, and no others.
func TestOptionalAbilities(t *testing.T) {
	p, u, log, blob := unreliable(t)
	logReader, blobReader := p.OpenLogReader(), p.OpenBlobReader()
	require.Implements(t, (*storage.LogHolder)(nil), u.LogReader(logReader))
	require.NotImplements(t, (*storage.LogHolder)(nil), u.LogReader(struct{ storage.LogReader }{logReader}))
	require.Implements(t, (*storage.Pinner)(nil), u.BlobReader(blobReader))
	require.NotImplements(t, (*storage.Pinner)(nil), u.BlobReader(struct{ storage.BlobReader }{blobReader}))
	require.NotImplements(t, (*storage.LogHolder)(nil), log)
	require.NotImplements(t, (*storage.Pinner)(nil), blob)
}
