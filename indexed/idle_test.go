package indexed_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/storage"
)

// A command that changes nothing is answered in its turn, and nothing is written or heard
// of it; one that changes something is written, whatever else it says.
func TestCommandsWithoutEffect(t *testing.T) {
	f := newFixture(t, still())
	a, b := f.register("a"), f.register("b")
	f.write(a, up("x", 7))
	f.seal(a, frontier.At(5))
	f.seal(b, frontier.Empty())
	f.allow(a, frontier.At(3))
	snap, l, err := f.Listen(f.ctx, a)
	require.NoError(t, err)
	require.NoError(t, snap.Close())
	none := columns()
	for i, test := range []struct {
		build func(c *indexed.Command)
		idle  bool
	}{
		{func(c *indexed.Command) {}, true},
		{func(c *indexed.Command) { c.Write(a, none) }, true},
		{func(c *indexed.Command) { c.Seal(a, frontier.At(5)) }, true},
		{func(c *indexed.Command) { c.AllowCompaction(a, frontier.At(3)) }, true},
		{func(c *indexed.Command) { c.Seal(b, frontier.Empty()) }, true},
		{func(c *indexed.Command) { c.AllowCompaction(b, frontier.At(0)) }, true},
		{func(c *indexed.Command) {
			c.Seal(a, frontier.At(5))
			c.Seal(a, frontier.At(2))
			c.Seal(a, frontier.At(5))
		}, true},
		{func(c *indexed.Command) {
			c.ExpectUpper(a, frontier.At(5))
			c.Write(a, none)
			c.Write(b, none)
			c.Seal(a, frontier.At(5))
			c.Seal(b, frontier.Empty())
			c.AllowCompaction(a, frontier.At(3))
			c.AllowCompaction(b, frontier.At(0))
		}, true},
		{func(c *indexed.Command) { c.Write(a, columns(up("y", 9))); c.AllowCompaction(b, frontier.At(0)) }, false},
		{func(c *indexed.Command) { c.Seal(a, frontier.At(5)); c.AllowCompaction(b, frontier.At(1)) }, false},
		{func(c *indexed.Command) { c.Seal(a, frontier.At(6)); c.Seal(b, frontier.Empty()) }, false},
	} {
		newest, appends := f.newest(), f.faults.Calls(mem.OpAppend)
		at, err := f.submit(test.build)
		require.NoError(t, err, "command %d", i)
		if test.idle {
			require.Equal(t, newest, at, "command %d: the newest position", i)
			require.Equal(t, newest, f.newest(), "command %d", i)
			require.Equal(t, appends, f.faults.Calls(mem.OpAppend), "command %d", i)
			continue
		}
		require.Greater(t, at, newest, "command %d", i)
		require.Equal(t, at, f.newest())
	}
	f.seal(a, frontier.Empty())
	events, err := drain(t, l)
	require.NoError(t, err)
	require.Len(t, events, 4, "the update, the seal that came with another change, and two seals: %v", events)
	require.NoError(t, l.Close())
	f.crash()
	require.Equal(t, []string{"k=x @7 +1", "k=y @9 +1"}, show(f.read(a)))
	require.NoError(t, f.CheckIdle())
}

func (f *fixture) newest() storage.SeqNo {
	f.Helper()
	bounds, err := f.LogBounds(f.ctx)
	require.NoError(f, err)
	return bounds.Last
}

// What changes nothing keeps its turn: it is answered after what came before, and decided
// again if that fails.
func TestCommandsWithoutEffectKeepTheirTurn(t *testing.T) {
	for _, fails := range []bool{false, true} {
		t.Run(fmt.Sprint(fails), func(t *testing.T) {
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
			if fails {
				f.faults.Inject(mem.Fault{Op: mem.OpAppend, Nth: 2})
			}
			submit(func(c *indexed.Command) { c.Seal(id, frontier.At(5)) })
			submit(func(c *indexed.Command) { c.Seal(id, frontier.At(5)) }) // idle, if that is sealed
			submit(func(c *indexed.Command) { c.Write(id, indexed.Columns{}) })
			ended, cancel := context.WithCancel(f.ctx)
			cancel()
			for _, future := range futures {
				_, err := future.Wait(ended)
				require.ErrorIs(t, err, context.Canceled, "what came before is not durable yet")
			}
			gate.Open()
			positions := make([]storage.SeqNo, len(futures))
			for i, future := range futures {
				var err error
				positions[i], err = future.Wait(f.ctx)
				if fails && i == 1 {
					require.ErrorIs(t, err, storage.ErrNoEffect)
					continue
				}
				require.NoError(t, err)
			}
			require.Greater(t, positions[2], positions[0])
			require.Equal(t, positions[2], positions[3])
			require.Equal(t, !fails, positions[1] == positions[2])
			require.Equal(t, positions[2], f.newest())
			d, err := f.Describe(f.ctx, "s")
			require.NoError(t, err)
			require.Equal(t, frontier.At(5), d.Upper)
			require.NoError(t, f.CheckIdle())
		})
	}
}

// A since that can only be a difference that has wrapped is refused; whatever else is in
// advance of the upper is allowed, for data to come.
func TestSinceThatWrapped(t *testing.T) {
	const last = math.MaxUint64
	at, none := frontier.At, frontier.Empty()
	for _, test := range []struct {
		upper, since frontier.Antichain
		seal         *frontier.Antichain // in the same command
		refused      bool
	}{
		{upper: at(0), since: at(last), refused: true}, // upper-1
		{upper: at(5), since: at(last - 4), refused: true},
		{upper: at(5), since: at(last), refused: true},
		{upper: at(1000), since: at(last - 86_400_000 + 1000), refused: true}, // a day before it, in milliseconds
		{upper: at(0), since: at(last), seal: ptr(at(3)), refused: true},
		{upper: at(0), since: at(last), seal: ptr(at(last))},
		{upper: at(0), since: at(last), seal: &none},
		{upper: at(0), since: none},
		{upper: none, since: at(last)},
		{upper: at(last), since: at(last)},
		{upper: at(last), since: at(0)}, // the since in force
		{upper: at(0), since: at(1 << 62)},
		{upper: at(1 << 63), since: at(last)},
	} {
		f := newFixture(t, still())
		id, other := f.register("s"), f.register("other")
		f.seal(id, test.upper)
		_, err := f.submit(func(c *indexed.Command) {
			c.Write(other, columns(up("x", 1)))
			c.AllowCompaction(id, test.since)
			if test.seal != nil {
				c.Seal(id, *test.seal)
			}
		})
		d, describeErr := f.Describe(f.ctx, "s")
		require.NoError(t, describeErr)
		if !test.refused {
			require.NoError(t, err, "%s at upper %s", test.since, test.upper)
			require.Equal(t, test.since, d.Since)
			continue
		}
		require.ErrorIs(t, err, indexed.ErrInvalid, "%s at upper %s", test.since, test.upper)
		require.ErrorContains(t, err, `"s"`)
		require.ErrorContains(t, err, "frontier.Empty()")
		require.Equal(t, frontier.At(0), d.Since)
		require.Equal(t, test.upper, d.Upper)
		require.Empty(t, f.read(other), "all or nothing")
	}
}

func ptr(f frontier.Antichain) *frontier.Antichain { return &f }
