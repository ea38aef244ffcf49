package operators_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/persist"
)

// part has an error.
type part struct{ err error }

func (p part) Err() error { return p.err }

func TestCause(t *testing.T) {
	disk, network, shutdown := errors.New("disk"), errors.New("network"), errors.New("shutdown")
	wrap := func(err error) error { return fmt.Errorf("batch [{0}, {1}): %w", err) }
	cancelled := func(cause error) context.Context {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(cause)
		return ctx
	}
	expired, cancel := context.WithDeadline(context.Background(), time.Unix(0, 0))
	defer cancel()
	background, plain := context.Background(), cancelled(nil)
	call := wrap(fmt.Errorf("call the service: %w", context.Canceled)) // under a context of its own
	for name, tt := range map[string]struct {
		ctx   context.Context
		parts []error
		want  error
	}{
		"all well":                             {background, []error{nil, nil, nil}, nil},
		"no parts":                             {background, nil, nil},
		"one failed":                           {background, []error{nil, disk, nil}, disk},
		"the most upstream":                    {background, []error{nil, disk, network}, disk},
		"cancelled by the caller":              {plain, []error{context.Canceled, context.Canceled, wrap(context.Canceled)}, nil},
		"cancelled because of it":              {plain, []error{context.Canceled, wrap(context.Canceled), disk}, disk},
		"joined with it":                       {plain, []error{context.Canceled, errors.Join(disk, context.Canceled), context.Canceled}, disk},
		"joined in a join":                     {plain, []error{errors.Join(context.Canceled, errors.Join(wrap(context.Canceled), disk))}, disk},
		"a cause":                              {cancelled(shutdown), []error{shutdown, wrap(shutdown), context.Canceled}, shutdown},
		"a cause, and before it":               {cancelled(shutdown), []error{shutdown, disk, wrap(shutdown)}, disk},
		"a deadline":                           {expired, []error{context.DeadlineExceeded, nil}, context.DeadlineExceeded},
		"a deadline, and no part":              {expired, nil, context.DeadlineExceeded},
		"a deadline of a part's own":           {background, []error{nil, context.DeadlineExceeded}, context.DeadlineExceeded},
		"missing, for what failed before it":   {background, []error{nil, disk, operators.ErrMissing}, disk},
		"missing, for what failed after it":    {background, []error{nil, operators.ErrMissing, disk}, disk},
		"missing, as the source was cancelled": {background, []error{context.Canceled, nil, operators.ErrMissing}, nil},
		"missing, and nothing else":            {background, []error{nil, nil, wrap(operators.ErrMissing)}, operators.ErrMissing},
		"an inlet closed, and nothing else":    {background, []error{operators.ErrInletClosed, operators.ErrEnded}, operators.ErrInletClosed},
		"ended, when it was cancelled":         {plain, []error{operators.ErrEnded}, nil},
		"a part's own context":                 {background, []error{context.Canceled, nil}, nil},
		"a call":                               {background, []error{nil, call, nil}, call},
		"a call, and missing for it":           {background, []error{nil, call, operators.ErrMissing}, call},
		"a call, and missing before it":        {background, []error{operators.ErrMissing, call}, call},
		"a call, and a part's own context":     {background, []error{context.Canceled, call, nil}, call},
		"a call, joined with that":             {background, []error{errors.Join(context.Canceled, call)}, call},
		"a call, and a better cause":           {background, []error{call, disk}, disk},
		"a call, joined with a better cause":   {background, []error{errors.Join(call, disk)}, disk},
		"a call, and it was cancelled":         {plain, []error{context.Canceled, call, context.Canceled}, nil},
		"a call, and it was cancelled for it":  {cancelled(call), []error{call, call, call}, call},
		"a call, and a cause":                  {cancelled(shutdown), []error{shutdown, call, shutdown}, shutdown},
		"a call, and a deadline":               {expired, []error{call, context.DeadlineExceeded}, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			parts := []operators.Part{nil}
			for _, err := range tt.parts {
				parts = append(parts, part{err})
			}
			require.ErrorIs(t, operators.Cause(tt.ctx, parts...), tt.want)
			if tt.want != nil && !errors.Is(tt.want, call) && !strings.HasPrefix(name, "missing") {
				require.NotContains(t, operators.Cause(tt.ctx, parts...).Error(), "canceled")
			}
		})
	}
	both := operators.Cause(plain, part{errors.Join(disk, context.Canceled, network)})
	require.ErrorIs(t, both, disk)
	require.ErrorIs(t, both, network)
	require.NotErrorIs(t, both, context.Canceled)
}

// A function fails, and the program cancels the pipeline for it: the flow's error is still
// that of the function, and it is what the pipeline has ended of.
func TestOwnCancelDoesNotHideTheCause(t *testing.T) {
	for name, fail := range map[string]func() error{
		"error": func() error { return io.ErrUnexpectedEOF },
		"panic": func() error { panic(io.ErrUnexpectedEOF) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlant(t, 1)
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				src := p.source(ctx)
				gate, begun := make(chan struct{}), make(chan struct{})
				var once sync.Once
				failing := operators.MapBatches(ctx, 3, func(_ context.Context, b batch) ([]persist.Update[string, int], error) {
					if b.Lower == frontier.At(0) {
						<-begun
						return nil, fail()
					}
					once.Do(func() { close(begun) })
					<-gate // a function that does not look at its context
					return b.Updates, nil
				})
				to := p.sink(ctx)
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					src.Via(failing).To(to)
				}()
				synctest.Wait() // it has failed
				cancel()
				close(gate)
				<-ended
				synctest.Wait()
				require.ErrorIs(t, failing.Err(), io.ErrUnexpectedEOF)
				require.NotErrorIs(t, failing.Err(), context.Canceled)
				require.ErrorIs(t, operators.Cause(ctx, src, failing, to), io.ErrUnexpectedEOF)
			})
		})
	}
}

// An error of a function names the key of its update, and not all of it.
func TestFailedFunctionsNameTheKey(t *testing.T) {
	long := strings.Repeat("k", 1<<20)
	for name, tt := range map[string]struct {
		key  string
		says string
	}{
		"short": {"oslo\n", `key "oslo\n" at time 0`},
		"long":  {long, `key "` + long[:64] + `"... (1048576 bytes) at time 0`},
	} {
		for how, fail := range map[string]func() error{
			"error": func() error { return errBad },
			"panic": func() error { panic(errBad) },
		} {
			t.Run(name+"/"+how, func(t *testing.T) {
				f := operators.FlatMap(t.Context(), 1, func(_ context.Context, key string, _ int, _ func(string, int)) error {
					if key == tt.key {
						return fail()
					}
					return nil
				})
				from(batchOf(0, 1, at("good", 1, 0, 1), at(tt.key, 1, 0, 1))).Via(f)
				require.Empty(t, drain(f))
				require.ErrorIs(t, f.Err(), errBad)
				require.ErrorContains(t, f.Err(), "update 1, of "+tt.says)
				require.Less(t, len(f.Err().Error()), 10_000)
			})
		}
	}
}
