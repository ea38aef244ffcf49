package tidemark_test

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/sink"
	"github.com/tidemark-go/tidemark/operators/source"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/tidemarktest"
	"github.com/tidemark-go/tidemark/tidemarktest/concurrent"
)

// One rule for every number that an option sets: 0 is the default, and a number below 0
// means none where the docs say so, or is refused.
func TestNumbersOfOptions(t *testing.T) {
	ctx := t.Context()
	client, err := mem.NewRegistry().Runtime(ctx, persist.Config{})
	require.NoError(t, err)
	defer client.Stop()
	write, read, err := persist.CreateOrLoad(ctx, client, "s", codec.String, codec.Unit)
	require.NoError(t, err)
	_, err = write.Finish(ctx).Wait(ctx)
	require.NoError(t, err)

	type number struct {
		use  func(n int64) error
		none bool // below 0 means none
	}
	numbers := map[string]number{
		"file.SegmentSize first": {use: func(n int64) error { return useLog(t, file.SegmentSize(n, 0)) }},
		"file.SegmentSize limit": {use: func(n int64) error { return useLog(t, file.SegmentSize(0, n)) }},
		"sink.Retry times":       {use: func(n int64) error { return useSink(ctx, write, sink.Retry(int(n), 0)) }, none: true},
	}
	for name, option := range map[string]func(n int64) sink.Option{
		"InFlight":         func(n int64) sink.Option { return sink.InFlight(int(n)) },
		"PartBytes":        sink.PartBytes,
		"Retry wait":       func(n int64) sink.Option { return sink.Retry(0, time.Duration(n)) },
		"HoldBack batches": func(n int64) sink.Option { return sink.HoldBack(operators.Limits{Batches: int(n)}) },
	} {
		numbers["sink."+name] = number{use: func(n int64) error { return useSink(ctx, write, option(n)) }}
	}
	for name, option := range map[string]func(n int64) source.BatchOption{
		"MaxPendingBytes": source.MaxPendingBytes,
		"MaxBatchBytes":   source.MaxBatchBytes,
		"MaxBatchUpdates": func(n int64) source.BatchOption { return source.MaxBatchUpdates(int(n)) },
	} {
		numbers["source."+name] = number{use: func(n int64) error {
			src := source.NewBatches(ctx, read, option(n))
			for range src.Out() {
				continue
			}
			return src.Err()
		}}
	}
	eachNumber(func(name string, set func(*operators.Limits, int64)) {
		numbers["operators.Limits."+name] = number{use: func(n int64) error {
			var limits operators.Limits
			set(&limits, n)
			inOrder := operators.InOrder[string, struct{}](ctx, frontier.At(0), limits)
			close(inOrder.In())
			for range inOrder.Out() {
				continue
			}
			return inOrder.Err()
		}}
	})
	none := map[string]bool{"CacheSizeLimit": true, "FlushInterval": true, "MaxListenerLag": true}
	eachNumber(func(name string, set func(*persist.Config, int64)) {
		numbers["persist.Config."+name] = number{none: none[name], use: func(n int64) error {
			var cfg persist.Config
			set(&cfg, n)
			return cfg.Validate()
		}}
	})
	// Of these the defaults are what most of our own tests use.
	eachNumber(func(name string, set func(*tidemarktest.Options, int64)) {
		numbers["tidemarktest.Options."+name] = number{use: func(n int64) (err error) {
			var opts tidemarktest.Options
			if set(&opts, n); n < 0 {
				_, err = tidemarktest.Check(ctx, tidemarktest.Memory(), opts)
			}
			return err
		}}
	})
	eachNumber(func(name string, set func(*concurrent.Options, int64)) {
		numbers["concurrent.Options."+name] = number{use: func(n int64) (err error) {
			var opts concurrent.Options
			if set(&opts, n); n < 0 {
				_, err = concurrent.Record(ctx, concurrent.Store{Open: func(ctx context.Context) (*persist.Client, error) {
					return mem.NewRegistry().Runtime(ctx, persist.Config{})
				}}, opts)
			}
			return err
		}}
	})
	require.Greater(t, len(numbers), 30)
	for name, number := range numbers {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, number.use(0), "the default")
			if number.none {
				require.NoError(t, number.use(-1), "none")
			} else {
				require.ErrorIs(t, number.use(-1), persist.ErrInvalid)
			}
		})
	}
}

// eachNumber calls f with every field of a struct that is a number with a sign, so that one
// which is added is tested.
func eachNumber[T any](f func(name string, set func(*T, int64))) {
	of := reflect.TypeFor[T]()
	for i := range of.NumField() {
		if field := of.Field(i); field.IsExported() && reflect.Zero(field.Type).CanInt() {
			f(field.Name, func(to *T, n int64) { reflect.ValueOf(to).Elem().Field(i).SetInt(n) })
		}
	}
}

func useLog(t *testing.T, opt file.Option) error {
	log, err := file.NewLog(t.TempDir(), opt)
	if err != nil {
		return err
	}
	return log.Close()
}

func useSink(ctx context.Context, write *persist.WriteHandle[string, struct{}], opt sink.Option) error {
	to := sink.New(ctx, write, opt)
	close(to.In())
	to.AwaitCompletion()
	return to.Err()
}

// An option is taken by the functions in which it has a meaning, and by no other: what only
// a source of batches has does not compile with source.New.
func TestOptionsThatCannotBeWritten(t *testing.T) {
	both, batches := reflect.TypeFor[source.Option](), reflect.TypeFor[source.BatchOption]()
	taken := func(constructor any) reflect.Type {
		of := reflect.TypeOf(constructor)
		return of.In(of.NumIn() - 1).Elem()
	}
	require.Equal(t, both, taken(source.New[string, string]))
	require.Equal(t, batches, taken(source.NewBatches[string, string]))
	require.True(t, both.AssignableTo(batches))
	require.False(t, batches.AssignableTo(both))
	made := func(option any) reflect.Type { return reflect.TypeOf(option).Out(0) }
	require.Equal(t, both, made(source.AsOf))
	for _, option := range []any{source.From, source.MaxPendingBytes, source.MaxBatchUpdates, source.MaxBatchBytes} {
		require.Equal(t, batches, made(option))
	}
}
