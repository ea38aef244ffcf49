package operators_test

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/reugn/go-streams"
	"github.com/reugn/go-streams/extension"
	"github.com/reugn/go-streams/flow"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/sink"
	"github.com/tidemark-go/tidemark/operators/source"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// foreign are elements that none of our operators takes, by what its error calls
// them. Pointers are among them (trap 27): a connector that sends the address of one
// variable again and again cannot be misread.
func foreign() map[string]any {
	var nothing *batch
	var nobody error
	b := batchOf(5, 6, original(5))
	return map[string]any{
		"<nil>":                           nobody,
		"*operators.Batch[string,int]":    nothing,
		"string":                          "x",
		"int":                             5,
		"*persist.Update[string,int]":     &b.Updates[0],
		"operators.Batch[string,string]":  operators.Batch[string, string]{Description: b.Description},
		"[]operators.Batch[string,int]":   []batch{b}, // of flow.Batch, and of windows (traps 19 to 22)
		"operators.Result[string,string]": operators.Result[string, string]{},
		"[]persist.Update[string,string]": []persist.Update[string, string]{{}},
		"[]interface {}":                  []any{b},
	}
}

// Traps 9, 10 and 27: what an upstream that is not typed sends is an error with the
// name of its type. What came before it is sealed, and nothing after it.
func TestTrap09ForeignElements(t *testing.T) {
	stages := map[string]func(ctx context.Context) *operators.BatchFlow{
		"flat map": func(ctx context.Context) *operators.BatchFlow {
			return operators.FlatMap(ctx, 3, func(_ context.Context, k string, v int, emit func(string, int)) error {
				emit(k, v)
				return nil
			})
		},
		"map batches": identity,
		"in order": func(ctx context.Context) *operators.BatchFlow {
			return operators.InOrder[string, int](ctx, frontier.At(0), operators.Limits{})
		},
	}
	for name, element := range foreign() {
		elements := pieces()
		elements[5] = element
		for stage, build := range stages {
			t.Run(stage+" "+name, func(t *testing.T) {
				trap(t, func(t *testing.T, p *plant) {
					f, to := build(context.Background()), p.sink(context.Background())
					from(elements...).Via(f).To(to)
					require.ErrorIs(t, f.Err(), operators.ErrForeignElement)
					require.ErrorContains(t, f.Err(), "got "+name+",")
					require.ErrorIs(t, drain(f.Errs())[0].(operators.Error), operators.ErrForeignElement)
					p.requireSealed(t, frontier.At(5))
				})
			})
		}
		t.Run("sink "+name, func(t *testing.T) {
			trap(t, func(t *testing.T, p *plant) {
				to := p.sink(context.Background())
				from(elements...).Via(flow.NewPassThrough()).To(to)
				require.ErrorIs(t, to.Err(), operators.ErrForeignElement)
				require.ErrorContains(t, to.Err(), "got "+name+",")
				require.ErrorIs(t, to.Probe().Wait(context.Background(), 6), operators.ErrForeignElement)
				p.requireSealed(t, frontier.At(5))
			})
		})
		t.Run("split "+name, func(t *testing.T) {
			trap(t, func(t *testing.T, p *plant) {
				ok, errs := operators.SplitOkErr[string, int](from(element, result{Update: original(1)}))
				to := p.sink(context.Background())
				ok.To(to)
				require.NoError(t, to.Err())
				require.Equal(t, []update{original(1)}, p.contents(t))
				e := drain(errs)[0].(operators.Error)
				require.ErrorIs(t, e, operators.ErrForeignElement)
				require.ErrorContains(t, e, "got "+name+",")
			})
		})
	}
}

// Traps 9 and 10: a go-streams flow that is typed for what our operators emit gets
// that and nothing else, errors included: it never panics for an element of ours.
func TestTrap09OneTypeForEachOutlet(t *testing.T) {
	trap(t, func(t *testing.T, p *plant) {
		_, broken, err := persist.CreateOrLoad(context.Background(), p.client, "in", codec.Bytes, intCodec)
		require.ErrorIs(t, err, persist.ErrCodecMismatch)
		same := func(r operators.Result[[]byte, int]) operators.Result[[]byte, int] { return r }
		all := drain(source.New(context.Background(), broken).Via(flow.NewMap(same, 1)))
		require.Len(t, all, 1)

		sameResult := func(r result) result { return r }
		src := source.New(context.Background(), p.readIn)
		first := src.Via(flow.NewMap(sameResult, 1))
		second := src.Via(flow.NewMap(sameResult, 1))
		require.ErrorIs(t, drain(second)[0].(result).Err, operators.ErrConnected)
		p.finish()
		require.Len(t, drain(first), times)

		sameBatch := func(b batch) batch { return b }
		batches, f := p.source(context.Background()), identity(context.Background())
		batches.Via(f)
		require.Empty(t, drain(batches.Via(flow.NewMap(sameBatch, 1))))
		one := f.Via(flow.NewMap(sameBatch, 1))
		require.Empty(t, drain(f.Via(flow.NewMap(sameBatch, 1))))
		require.GreaterOrEqual(t, len(drain(one)), times)

		sameError := func(e operators.Error) operators.Error { return e }
		ok, errs := operators.SplitOkErr[string, int](from("x", result{Err: errBad}))
		none := ok.Via(flow.NewMap(func(u update) update { return u }, 1))
		some := errs.Via(flow.NewMap(sameError, 1))
		refused := errs.Via(flow.NewMap(sameError, 1))
		require.Empty(t, drain(none))
		require.Len(t, drain(refused), 1)
		require.Len(t, drain(some), 2)
	})
}

// Traps 10 and 11: a user's function that returns an error, panics, panics with nil,
// or ends its goroutine has made no batch. What it was to make is not sealed.
func TestTrap10FunctionsThatFail(t *testing.T) {
	for name, tt := range map[string]struct {
		fail func() error
		want error
	}{
		"error":     {func() error { return errBad }, errBad},
		"panic":     {func() error { panic(errBad) }, errBad},
		"panic nil": {func() error { panic(nil) }, operators.ErrPanic},
		"nil pointer": {func() error {
			var u *update
			return &testError{u.Key}
		}, operators.ErrPanic},
		"exit": {func() error {
			runtime.Goexit()
			return nil
		}, operators.ErrPanic},
	} {
		t.Run(name, func(t *testing.T) {
			trap(t, func(t *testing.T, p *plant) {
				p.finish()
				f := operators.MapBatches(context.Background(), 3, func(_ context.Context, b batch) ([]update, error) {
					if b.Lower == frontier.At(5) {
						if err := tt.fail(); err != nil {
							return nil, err
						}
					}
					return b.Updates, nil
				})
				to := p.sink(context.Background())
				p.source(context.Background()).Via(f).To(to)
				require.ErrorIs(t, f.Err(), tt.want)
				require.ErrorContains(t, f.Err(), "[{5}, {6})")
				require.ErrorIs(t, drain(f.Errs())[0].(operators.Error), tt.want)
				require.ErrorIs(t, to.Probe().Wait(context.Background(), 6), operators.ErrEnded)
				p.requireSealed(t, frontier.At(5))
			})
		})
	}
	t.Run("no function", func(t *testing.T) {
		trap(t, func(t *testing.T, p *plant) {
			f := operators.MapBatches[string, int, string, int](context.Background(), 1, nil)
			p.finish()
			p.source(context.Background()).Via(f).To(p.sink(context.Background()))
			require.ErrorIs(t, f.Err(), operators.ErrPanic)
			p.requireSealed(t, frontier.At(0))
		})
	})
}

type testError struct{ says string }

func (e *testError) Error() string { return e.says }

// Trap 10: no handle, no outlet. Everything can be built with nothing to work on, is
// wired as usual, and says what is missing.
func TestTrap10NilHandles(t *testing.T) {
	trap(t, func(t *testing.T, p *plant) {
		to := sink.New[string, int](context.Background(), nil)
		feed(to, pieces()...)
		require.ErrorIs(t, to.Err(), persist.ErrInvalid)
		require.ErrorIs(t, to.Probe().Wait(context.Background(), 1), persist.ErrInvalid)

		batches := source.NewBatches[string, int](context.Background(), nil)
		require.Empty(t, drain(batches))
		require.ErrorIs(t, batches.Err(), persist.ErrInvalid)

		all := drain(source.New[string, int](context.Background(), nil))
		require.Len(t, all, 1)
		require.ErrorIs(t, all[0].(result).Err, persist.ErrInvalid)

		for _, nothing := range []streams.Outlet{nil, (*extension.ChanSource)(nil)} {
			ok, errs := operators.SplitOkErr[string, int](nothing)
			require.Empty(t, drain(ok))
			said := drain(errs)
			require.Len(t, said, 1)
			require.ErrorIs(t, said[0].(operators.Error), operators.ErrPanic)
		}
	})
}

// Trap 25: Fold sends its accumulator again and again. What it sent is the user's to
// copy; a sum of records is then no collection, but none of it is sealed either, and
// sums of batches overlap. Trap 22: what flow.Batch makes of updates are records to us.
func TestTrap25Accumulators(t *testing.T) {
	t.Run("a fold of records", func(t *testing.T) {
		trap(t, func(t *testing.T, p *plant) {
			to := p.sink(context.Background())
			sum := flow.NewFold([]update{}, func(u update, all []update) []update {
				return append(all[:len(all):len(all)], u)
			})
			from(original(0), original(1), original(2)).Via(sum).To(to)
			require.NoError(t, to.Err())
			var diffs []string
			for _, u := range p.contents(t) {
				diffs = append(diffs, u.Key+strings.Repeat("+", int(u.Diff)))
			}
			require.Equal(t, []string{"00+++", "01++", "02+"}, diffs)
			require.Equal(t, frontier.At(0), p.upper(t))
		})
	})
	t.Run("a reduction of batches", func(t *testing.T) {
		trap(t, func(t *testing.T, p *plant) {
			var first batch
			reduced := flow.NewReduce(func(sum, b batch) batch {
				first = sum
				return batch{Description: frontier.Description{Lower: sum.Lower, Upper: b.Upper}, Updates: append(sum.Updates[:len(sum.Updates):len(sum.Updates)], b.Updates...)}
			})
			to := p.sink(context.Background())
			from(pieces()...).Via(reduced).To(to)
			require.NotEmpty(t, first)
			require.ErrorIs(t, to.Err(), operators.ErrOverlap)
			p.requireSealed(t, frontier.At(1))
		})
	})
	t.Run("a batch of records", func(t *testing.T) {
		trap(t, func(t *testing.T, p *plant) {
			p.finish()
			to := p.sink(context.Background())
			ok, errs := operators.SplitOkErr[string, int](source.New(context.Background(), p.readIn))
			ok.Via(flow.NewBatch[update](5, time.Second)).To(to)
			require.Empty(t, drain(errs))
			require.NoError(t, to.Err())
			require.Equal(t, originals(frontier.Empty()), p.contents(t))
			require.Equal(t, frontier.At(0), p.upper(t))
		})
	})
}
