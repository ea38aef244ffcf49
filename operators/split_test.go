package operators_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/reugn/go-streams"
	"github.com/reugn/go-streams/extension"
	"github.com/reugn/go-streams/flow"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/persist"
)

type (
	update = persist.Update[string, int]
	result = operators.Result[string, int]
)

func at[K, V any](key K, val V, time uint64, diff int64) persist.Update[K, V] {
	return persist.Update[K, V]{Key: key, Val: val, Time: time, Diff: diff}
}

// from returns an outlet that emits the elements and closes.
func from(elements ...any) streams.Source {
	ch := make(chan any, len(elements))
	for _, e := range elements {
		ch <- e
	}
	close(ch)
	return extension.NewChanSource(ch)
}

func drain(out streams.Outlet) (all []any) {
	for e := range out.Out() {
		all = append(all, e)
	}
	return all
}

var errBad = errors.New("bad")

func TestSplitOkErr(t *testing.T) {
	u1, u2 := at("a", 1, 3, 1), at("b", 2, 4, -1)
	ok, errs := operators.SplitOkErr[string, int](from(
		result{Update: u1},
		result{Update: update{Time: 7, Diff: 2}, Err: errBad},
		u2,
		operators.Error{Err: errBad, Time: 1, Diff: 1},
	))
	require.Equal(t, []any{u1, u2}, drain(ok))
	require.Equal(t, []any{operators.Error{Err: errBad, Time: 7, Diff: 2}, operators.Error{Err: errBad, Time: 1, Diff: 1}}, drain(errs))
}

// Traps 9 and 10: a foreign element is an error that names its type.
func TestSplitReportsForeignElements(t *testing.T) {
	var nilPointer *result
	for want, element := range map[string]any{
		"<nil>":             nil,
		"string":            "x",
		"int":               1,
		"*operators.Result": nilPointer,
		"operators.Result[string,string]": operators.Result[string, string]{
			Update: persist.Update[string, string]{Key: "x"}},
	} {
		u := at("a", 1, 3, 1)
		ok, errs := operators.SplitOkErr[string, int](from(element, result{Update: u}))
		require.Equal(t, []any{u}, drain(ok), "the rest goes on")
		all := drain(errs)
		require.Len(t, all, 1)
		e := all[0].(operators.Error)
		require.ErrorIs(t, e, operators.ErrForeignElement)
		require.ErrorContains(t, e, want)
		require.Equal(t, int64(1), e.Diff)
	}
}

// Trap 7: the err side is never wired, or late. The ok side does not wait for it,
// and what does not fit is summed up.
func TestSplitErrSideNeverBlocks(t *testing.T) {
	const n = 5000
	var elements []any
	for i := range uint64(n) {
		elements = append(elements, result{Update: update{Time: i, Diff: 3}, Err: errBad}, result{Update: update{Key: "k", Time: i}})
	}
	ok, errs := operators.SplitOkErr[string, int](from(elements...))
	require.Len(t, drain(ok), n)

	all := drain(errs)
	require.Len(t, all, 1024+1)
	last := all[1024].(operators.Error)
	require.ErrorIs(t, last, operators.ErrDropped)
	require.ErrorIs(t, last, errBad)
	require.Equal(t, int64(n-1024), last.Diff)
	require.Equal(t, uint64(1024), last.Time)
}

// An operator that is built and not wired has no goroutine (trap 1): goleak tells.
func TestSplitThatIsNotWired(t *testing.T) {
	out := make(chan any)
	operators.SplitOkErr[string, int](extension.NewChanSource(out))
	ok, _ := operators.SplitOkErr[string, int](from(result{}))
	require.Len(t, drain(ok), 1)
}

// The err side alone gets errors up to the first update, which waits for the ok side.
func TestSplitErrSideAlone(t *testing.T) {
	ok, errs := operators.SplitOkErr[string, int](from(result{Err: errBad}, result{Update: update{Key: "a"}}, result{Err: errBad}))
	out := errs.Out()
	require.ErrorIs(t, (<-out).(operators.Error), errBad)
	require.Len(t, drain(ok), 1)
	require.ErrorIs(t, (<-out).(operators.Error), errBad)
	_, open := <-out
	require.False(t, open)
}

// Trap 14: nobody drains, and the context ends.
func TestSplitEndsWithItsContext(t *testing.T) {
	for name, wire := range map[string]func(ok, errs streams.Flow){
		"ok":   func(ok, _ streams.Flow) { ok.Out() },
		"errs": func(_, errs streams.Flow) { errs.Out() },
		"both": func(ok, errs streams.Flow) { ok.Via(&stuck{}); errs.Via(&stuck{}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				ok, errs := operators.SplitOkErrContext[string, int](ctx, from(result{Err: errBad}, result{}, result{}))
				wire(ok, errs)
				synctest.Wait()
				cancel()
				synctest.Wait() // and the bubble ends: no goroutine is left
			})
		})
	}
}

// stuck is a flow that takes nothing.
type stuck struct {
	streams.Flow
	in chan any
}

func (s *stuck) In() chan<- any {
	if s.in == nil {
		s.in = make(chan any)
	}
	return s.in
}

// Trap 5: a second consumer gets nothing, and the err side says so, also when the split
// has ended before.
func TestSplitConnectedTwice(t *testing.T) {
	u := at("a", 1, 3, 1)
	upstream := make(chan any, 1)
	upstream <- result{Update: u}
	close(upstream)
	ok, errs := operators.SplitOkErr[string, int](extension.NewChanSource(upstream))
	first := ok.Via(flow.NewPassThrough())
	second := ok.Via(flow.NewPassThrough())
	require.Equal(t, []any{u}, drain(first))
	third := ok.Out()
	require.Empty(t, drain(second))
	_, open := <-third
	require.False(t, open)

	firstErrs := errs.Out()
	secondErrs := errs.Via(flow.NewPassThrough())
	require.ErrorIs(t, drain(secondErrs)[0].(operators.Error), operators.ErrConnected)
	for range 2 {
		require.ErrorIs(t, (<-firstErrs).(operators.Error), operators.ErrConnected)
	}
	_, open = <-firstErrs
	require.False(t, open)
}

// A side is a flow in name only: its inlet discards and reports.
func TestSplitSideAsInlet(t *testing.T) {
	out := make(chan any)
	ok, errs := operators.SplitOkErr[string, int](extension.NewChanSource(out))
	in := ok.In()
	in <- 1
	in <- 2
	close(in)
	require.ErrorIs(t, (<-errs.Out()).(operators.Error), operators.ErrConnected)
	close(out)
	require.Empty(t, drain(ok))
	require.Empty(t, drain(errs))
}

// Trap 3: two upstreams of one inlet. The second finds it closed, does not panic,
// and does not make its own upstream hang.
func TestSplitIntoAClosedInlet(t *testing.T) {
	upstream := make(chan any)
	ok, errs := operators.SplitOkErr[string, int](extension.NewChanSource(upstream))
	closed := flow.NewPassThrough()
	close(closed.In())
	ok.Via(closed)
	for range 10 {
		upstream <- result{}
	}
	close(upstream)
	all := drain(errs)
	require.Len(t, all, 1)
	require.ErrorIs(t, all[0].(operators.Error), operators.ErrInletClosed)
}

func ExampleSplitOkErr() {
	results := make(chan any, 2)
	results <- operators.Result[string, int]{Update: persist.Update[string, int]{Key: "a", Val: 1, Time: 3, Diff: 1}}
	results <- "not a result"
	close(results)

	ok, errs := operators.SplitOkErr[string, int](extension.NewChanSource(results))
	for u := range ok.Out() {
		fmt.Printf("%+v\n", u)
	}
	for e := range errs.Out() {
		fmt.Println(errors.Is(e.(operators.Error), operators.ErrForeignElement))
	}
	// Output:
	// {Key:a Val:1 Time:3 Diff:1}
	// true
}
