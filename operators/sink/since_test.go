package sink_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/operators/sink"
	"github.com/tidemark-go/tidemark/operators/source"
	"github.com/tidemark-go/tidemark/persist"
)

func (s *stream) since() frontier.Antichain {
	d, err := s.write.Description(s.ctx)
	require.NoError(s.t, err)
	return d.Since
}

// An input read as of a time gives an output that is exact as of that time, and says so.
func TestSinceFollows(t *testing.T) {
	in := newStream(t, persist.Config{})
	feed(sink.New(in.ctx, in.write), batchOf(0, 20, at("a", 3, 1), at("b", 12, 1)))
	out := &stream{ctx: in.ctx, t: t, client: in.client}
	out.open("output")
	to := sink.New(in.ctx, out.write)
	require.NoError(t, wait(in, in.write.Finish(in.ctx)))
	source.NewBatches(in.ctx, in.read, source.AsOf(frontier.At(10))).To(to)
	require.NoError(t, to.Err())
	require.Equal(t, frontier.At(10), out.since())
	snapshot, err := out.read.Snapshot(in.ctx)
	require.NoError(t, err)
	defer snapshot.Close()
	for _, err := range snapshot.AsOf(in.ctx, 5) {
		require.ErrorIs(t, err, persist.ErrAsOfBeforeSince)
	}
	require.Equal(t, []update{at("a", 10, 1), at("b", 12, 1)}, out.contents())
}

// Several batches on their way, of different sinces, while the storage refuses some, and
// while others allow compaction too: it never goes back, and is that of the batches or
// what somebody else has allowed beyond.
func TestSinceFollowsBatches(t *testing.T) {
	for name, tt := range map[string]struct {
		meanwhile func(s *stream) // while the first batch is on its way
		want      frontier.Antichain
	}{
		"alone": {func(*stream) {}, frontier.At(6)},
		"refused": {func(s *stream) {
			s.unreliable.Inject(mem.Fault{Op: mem.OpAppend})
			s.unreliable.Inject(mem.Fault{Op: mem.OpAppend, Nth: 2})
		}, frontier.At(6)},
		"others have allowed less":   {func(s *stream) { s.write.AllowCompaction(s.ctx, frontier.At(1)) }, frontier.At(6)},
		"others have allowed more":   {func(s *stream) { s.write.AllowCompaction(s.ctx, frontier.At(5)) }, frontier.At(6)},
		"others have allowed beyond": {func(s *stream) { s.write.AllowCompaction(s.ctx, frontier.At(9)) }, frontier.At(9)},
		"nobody reads":               {func(s *stream) { s.write.AllowCompaction(s.ctx, frontier.Empty()) }, frontier.Empty()},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream(t, persist.Config{})
			to := sink.New(s.ctx, s.write)
			gate := s.unreliable.GateBefore(mem.OpAppend)
			to.In() <- advanced(0, 0, 2, at("a", 1, 1))
			require.NoError(t, gate.Wait(s.ctx, 1))
			tt.meanwhile(s)
			to.In() <- advanced(2, 2, 4, at("b", 2, 1), at("b", 3, 1))
			to.In() <- advanced(4, 2, 5)
			to.In() <- advanced(5, 6, 8, at("c", 7, 1))
			to.In() <- batchOf(8, 9) // repeats what a source of an earlier as-of has, which is exact as well
			gate.Open()
			feed(to)
			require.NoError(t, to.Err())
			require.Equal(t, tt.want, s.since())
			require.Equal(t, frontier.At(9), s.upper())
			total := int64(0)
			for _, u := range s.contents() {
				total += u.Diff
			}
			require.Equal(t, int64(4), total)
		})
	}
	s := newStream(t, persist.Config{})
	to := sink.New(s.ctx, s.write)
	feed(to, batch{Description: frontier.Description{Upper: frontier.At(3), Since: frontier.Empty()}})
	require.ErrorIs(t, to.Err(), persist.ErrInvalid)
	require.Equal(t, frontier.Antichain{}, s.since())
}
