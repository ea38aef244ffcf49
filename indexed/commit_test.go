package indexed_test

import (
	"testing"

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
