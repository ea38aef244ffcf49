package source_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

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

func at(key, val string, time uint64, diff int64) update {
	return update{Key: key, Val: val, Time: time, Diff: diff}
}

// testContext ends a test that hangs.
func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// stream is a stream in memory.
type stream struct {
	ctx    context.Context
	t      require.TestingT
	client *persist.Client
	write  *persist.WriteHandle[string, string]
	read   *persist.ReadHandle[string, string]
}

func newStream(t *testing.T) *stream {
	s, stop := openStream(testContext(t), t)
	t.Cleanup(stop)
	return s
}

func openStream(ctx context.Context, t require.TestingT) (s *stream, stop func()) {
	client, err := mem.NewRegistry().Runtime(ctx, persist.Config{})
	require.NoError(t, err)
	write, read, err := persist.CreateOrLoad(ctx, client, "quakes", codec.String, codec.String)
	require.NoError(t, err)
	return &stream{ctx, t, client, write, read}, func() { require.NoError(t, client.Stop()) }
}

func (s *stream) append(updates ...update) {
	_, err := s.write.Write(s.ctx, updates).Wait(s.ctx)
	require.NoError(s.t, err)
}

func (s *stream) seal(upper uint64) {
	_, err := s.write.Seal(s.ctx, upper).Wait(s.ctx)
	require.NoError(s.t, err)
}

func (s *stream) finish() {
	_, err := s.write.Finish(s.ctx).Wait(s.ctx)
	require.NoError(s.t, err)
}

// fussy decodes everything but "bad".
type fussy struct{ persist.Codec[string] }

var errFussy = errors.New("fussy")

func (f fussy) Decode(src []byte) (string, error) {
	if string(src) == "bad" {
		return "", errFussy
	}
	return f.Codec.Decode(src)
}
