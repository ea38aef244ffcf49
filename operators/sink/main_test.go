package sink_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/reugn/go-streams"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type (
	update = persist.Update[string, string]
	result = operators.Result[string, string]
	batch  = operators.Batch[string, string]
)

func at(key string, time uint64, diff int64) update {
	return update{Key: key, Time: time, Diff: diff}
}

func batchOf(lower, upper uint64, updates ...update) batch {
	return batch{Description: frontier.Description{Lower: frontier.At(lower), Upper: frontier.At(upper)}, Updates: updates}
}

var errBad = errors.New("bad")

// stream is a stream in memory.
type stream struct {
	ctx        context.Context
	t          require.TestingT
	unreliable *mem.Unreliable
	client     *persist.Client
	write      *persist.WriteHandle[string, string]
	read       *persist.ReadHandle[string, string]
}

func newStream(t *testing.T, cfg persist.Config) *stream {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	s := openStream(ctx, t, mem.NewRegistry(), "out", cfg)
	t.Cleanup(func() { _ = s.client.Stop() })
	return s
}

func openStream(ctx context.Context, t require.TestingT, reg *mem.Registry, name string, cfg persist.Config) *stream {
	s := &stream{ctx: ctx, t: t, unreliable: mem.NewUnreliable()}
	var err error
	s.client, err = reg.RuntimeUnreliable(ctx, s.unreliable, cfg)
	require.NoError(t, err)
	s.open(name)
	return s
}

// open makes the stream, in the client.
func (s *stream) open(name string) {
	var err error
	s.write, s.read, err = persist.CreateOrLoad(s.ctx, s.client, name, codec.String, codec.String)
	require.NoError(s.t, err)
}

func (s *stream) upper() frontier.Antichain {
	d, err := s.client.Description(s.ctx, s.write.StreamName())
	require.NoError(s.t, err)
	return d.Upper
}

func (s *stream) contents() []update {
	snapshot, err := s.read.Snapshot(s.ctx)
	require.NoError(s.t, err)
	defer snapshot.Close()
	all, err := snapshot.ReadToEnd(s.ctx)
	require.NoError(s.t, err)
	return all
}

// feed sends the elements to the sink, closes it and waits.
func feed(to streams.Sink, elements ...any) {
	for _, e := range elements {
		to.In() <- e
	}
	close(to.In())
	to.AwaitCompletion()
}
