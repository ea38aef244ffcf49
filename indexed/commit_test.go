package indexed_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/storage"
)

// A group that the log does not take has no effect, and what rested on it is decided
// again.
func TestFailedGroup(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	gate := f.faults.GateBefore(mem.OpAppend)
	var futures []*indexed.Future[storage.SeqNo]
	submit := func(build func(c *indexed.Command)) {
		var c indexed.Command
		build(&c)
		futures = append(futures, f.Submit(f.ctx, &c))
	}
	submit(func(c *indexed.Command) { c.Write(id, columns(up("first", 0))) })
	require.NoError(t, gate.Wait(f.ctx, 1)) // it holds up the log
	f.faults.Inject(mem.Fault{Op: mem.OpAppend, Nth: 2})
	submit(func(c *indexed.Command) { c.Seal(id, frontier.At(5)) })
	submit(func(c *indexed.Command) { c.Write(id, columns(up("second", 1))) }) // refused, if that is sealed
	submit(func(c *indexed.Command) { c.ExpectUpper(id, frontier.At(5)) })     // right, if it is
	gate.Open()
	var errs []error
	for _, future := range futures {
		_, err := future.Wait(f.ctx)
		errs = append(errs, err)
	}
	require.NoError(t, errs[0])
	require.ErrorIs(t, errs[1], storage.ErrNoEffect)
	require.NoError(t, errs[2], "nothing was sealed")
	var mismatch *indexed.UpperMismatchError
	require.ErrorAs(t, errs[3], &mismatch)
	require.Equal(t, frontier.At(0), mismatch.Upper)
	require.Equal(t, []string{"k=first @0 +1", "k=second @1 +1"}, show(f.read(id)))
	require.NoError(t, f.CheckIdle())
}

// If a durable command cannot be applied, the state and the log have parted: nothing
// more is applied, accepted or written to files, and the next opening has it all.
func TestBrokenStateIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, still())
		id, other := f.register("s"), f.register("other")
		f.write(id, up("a", 1))
		_, l, err := f.Listen(f.ctx, other)
		require.NoError(t, err)
		f.AdvanceBehindThePlan(id, frontier.At(9))

		held := f.place.HoldFlushes()
		var futures []*indexed.Future[storage.SeqNo]
		submit := func(id indexed.StreamID, val string) {
			var c indexed.Command
			c.Write(id, columns(up(val, 1)))
			futures = append(futures, f.Submit(f.ctx, &c))
		}
		submit(id, "b")
		require.NoError(t, held.Wait(f.ctx, 1))
		submit(other, "c") // in the next group, on its way when the first one is applied
		synctest.Wait()    // it is decided: a command that is still in the queue then is refused
		held.Open()
		for _, future := range futures {
			_, err := future.Wait(f.ctx)
			require.ErrorIs(t, err, indexed.ErrOutcomeUnknown)
		}
		_, err = f.submit(func(c *indexed.Command) { c.Write(other, columns(up("d", 1))) })
		require.ErrorIs(t, err, indexed.ErrStopped)
		require.ErrorContains(t, err, "it accepts no more writes since a durable command cannot be applied")
		_, err = l.Next(f.ctx)
		require.ErrorIs(t, err, indexed.ErrStopped)
		require.NoError(t, l.Close())
		require.ErrorIs(t, f.Round(f.ctx, true), indexed.ErrStopped)
		require.Empty(t, f.batchKeys())

		f.crash()
		require.Equal(t, []string{"k=a @1 +1", "k=b @1 +1"}, show(f.read(id)))
		require.Equal(t, []string{"k=c @1 +1"}, show(f.read(other)))
	})
}

// A round of maintenance that is under way when the state breaks writes nothing from
// it.
func TestBrokenStateIsNotWrittenDown(t *testing.T) {
	f := newFixture(t, still())
	id, others := f.register("s"), []indexed.StreamID{f.register("other"), f.register("third")}
	f.round(true)
	for _, other := range others {
		f.write(other, up("o", 1))
	}
	f.write(id, up("a", 1))
	version := f.ManifestVersion()
	writing := f.faults.GateBefore(mem.OpSet)
	stepped := make(chan error, 1)
	go func() { stepped <- f.Round(f.ctx, true) }()
	require.NoError(t, writing.Wait(f.ctx, 1))
	f.AdvanceBehindThePlan(id, frontier.At(9))
	_, err := f.submit(func(c *indexed.Command) {
		for _, other := range others {
			c.Write(other, columns(up("b", 1)))
		}
		c.Write(id, columns(up("b", 1)))
	})
	require.ErrorIs(t, err, indexed.ErrOutcomeUnknown)
	writing.Open()
	require.ErrorIs(t, <-stepped, indexed.ErrStopped)
	require.Equal(t, version, f.ManifestVersion())
	for _, other := range others {
		require.Equal(t, []string{"k=b @1 +1", "k=o @1 +1"}, show(f.read(other)), "the rest of the round has moved nothing")
	}
	f.crash()
	for _, other := range others {
		require.Len(t, f.read(other), 2)
	}
	require.Len(t, f.read(id), 2)
}

// A writer that waits for room is told when nobody will make any.
func TestWaitingWriterOfAReplacedOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := still()
		cfg.MaxTailBytes = 4 << 10
		f := newFixture(t, cfg)
		id := f.register("s")
		big := strings.Repeat("x", 3<<10)
		f.write(id, up(big, 1))
		f.faults.Inject(mem.Fault{Op: mem.OpAppend, Err: storage.ErrConflict})
		_, err := f.submit(func(c *indexed.Command) { c.Seal(id, frontier.At(1)) })
		require.ErrorIs(t, err, indexed.ErrStopped)
		_, err = f.submit(func(c *indexed.Command) { c.Write(id, columns(up(big, 2))) })
		require.ErrorIs(t, err, indexed.ErrStopped)
		require.ErrorIs(t, err, storage.ErrConflict)
		require.ErrorContains(t, err, "it makes no more room for writes since somebody else has its log")
	})
}
