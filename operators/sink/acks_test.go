package sink_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/sink"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// answers collects what a sink acknowledges, and checks that it is durable then.
type answers struct {
	elements []any
	errs     []error
}

func (a *answers) option() sink.Option {
	return sink.Acknowledge(func(element any, err error) {
		a.elements, a.errs = append(a.elements, element), append(a.errs, err)
	})
}

// Every element is answered once, in the order of receipt, whatever becomes of it: commands
// that are refused and tried again, or split to find the culprit, do not change the order.
func TestAcknowledgeRecords(t *testing.T) {
	s := newStream(t, persist.Config{MaxTailBytes: 1 << 20})
	require.NoError(t, wait(s, s.write.Seal(s.ctx, 5)))
	for nth := range 4 {
		s.unreliable.Inject(mem.Fault{Op: mem.OpAppend, Nth: 2 + nth})
	}
	var input []any
	want := make(map[int]error)
	for i := range 3000 {
		var e any = at(fmt.Sprint(i), uint64(5+i), 1)
		switch i % 500 {
		case 17:
			e, want[i] = at("late", 3, 1), persist.ErrSealed
		case 18:
			e = []update{at(fmt.Sprint(i), 9, 1), at(fmt.Sprint(i), 10, 1)}
		case 19:
			e = []update(nil)
		case 20:
			e, want[i] = "foreign", operators.ErrForeignElement
		case 21:
			e, want[i] = result{Err: errBad}, errBad
		case 22:
			e, want[i] = at(strings.Repeat("x", 2<<20), 9, 1), persist.ErrTooLarge
		case 23:
			e = result{Update: at(fmt.Sprint(i), 9, 1)}
		case 24:
			e, want[i] = operators.Error{Err: errBad}, errBad
		}
		input = append(input, e)
	}
	var got answers
	to := sink.New(s.ctx, s.write, got.option(), sink.InFlight(3))
	feed(to, input...)
	require.Equal(t, input, got.elements)
	for i, err := range got.errs {
		require.ErrorIs(t, err, want[i], "element %d", i)
	}
}

// What is acknowledged is durable at that moment.
func TestAcknowledgedIsDurable(t *testing.T) {
	s := newStream(t, persist.Config{})
	var got answers
	gate := s.unreliable.GateBefore(mem.OpAppend)
	to := sink.New(s.ctx, s.write, got.option())
	to.In() <- at("a", 1, 1)
	require.NoError(t, gate.Wait(s.ctx, 1))
	to.In() <- batchOf(1, 1) // done at once, and behind it
	to.In() <- batchOf(1, 1)
	require.Empty(t, got.elements)
	gate.Open()
	feed(to)
	require.Len(t, got.elements, 3)
}

// Batches that come before their turn, are repeated, were written before, are cut, or
// come after a failure.
func TestAcknowledgeBatches(t *testing.T) {
	s := newStream(t, persist.Config{})
	feed(sink.New(s.ctx, s.write), batchOf(0, 2))
	input := []any{
		batchOf(0, 1), batchOf(6, 8), at("r", 20, 1), batchOf(4, 6), batchOf(6, 8), batchOf(1, 4), batchOf(2, 2),
		batchOf(10, 12), "foreign", batchOf(8, 10), at("s", 20, 1),
	}
	var got answers
	to := sink.New(s.ctx, s.write, got.option())
	feed(to, input...)
	require.Equal(t, input, got.elements)
	for i, err := range got.errs {
		switch i {
		case 7, 9:
			require.ErrorContains(t, err, "has failed")
		case 8:
			require.ErrorIs(t, err, operators.ErrForeignElement)
		default:
			require.NoError(t, err)
		}
	}
	for name, tt := range map[string]struct {
		last any
		want error
	}{
		"missing":  {batchOf(30, 31), operators.ErrMissing},
		"overlap":  {batchOf(11, 13), operators.ErrOverlap},
		"storage":  {batchOf(8, 9), storage.ErrNoEffect},
		"in parts": {batch{Description: batchOf(8, 9).Description, Updates: rowsOf(200, 400, 8)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream(t, small)
			feed(sink.New(s.ctx, s.write), batchOf(0, 8))
			if errors.Is(tt.want, storage.ErrNoEffect) {
				s.unreliable.SetDown()
			}
			var got answers
			to := sink.New(s.ctx, s.write, got.option(), sink.Retry(-1, 0))
			feed(to, batchOf(0, 8), batchOf(12, 13), tt.last)
			require.Len(t, got.errs, 3)
			require.NoError(t, got.errs[0])
			require.Error(t, got.errs[1])
			require.ErrorIs(t, got.errs[2], tt.want)
		})
	}
	panics := sink.New(s.ctx, s.write, sink.Acknowledge(func(any, error) { panic(errBad) }))
	feed(panics, at("t", 20, 1), at("u", 20, 1))
	require.ErrorIs(t, panics.Err(), errBad)
	require.ErrorIs(t, panics.Err(), operators.ErrPanic)
}

// Answers that wait behind a batch which waits are bounded: the upstream waits as well.
func TestAcknowledgeIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openStream(t.Context(), t, mem.NewRegistry(), "out", persist.Config{})
		defer s.client.Stop()
		var got answers
		to := sink.New(t.Context(), s.write, got.option(), sink.HoldBack(operators.Limits{Updates: 100}))
		to.In() <- batchOf(5, 6)
		sent := 0
		for timeout := time.After(5 * time.Second); ; sent++ {
			select {
			case to.In() <- at("a", 9, 1):
				continue
			case <-timeout:
			}
			break
		}
		require.Empty(t, got.elements)
		require.Less(t, sent, 1000)
		feed(to, batchOf(0, 5))
		require.NoError(t, to.Err())
		require.Len(t, got.elements, sent+2)
	})
}
