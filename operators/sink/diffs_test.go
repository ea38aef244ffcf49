package sink_test

import (
	"math"
	"testing"

	"github.com/reugn/go-streams"
	"github.com/reugn/go-streams/flow"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/operators/sink"
	"github.com/tidemark-go/tidemark/operators/source"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// A sum may be the one diff that no write takes: it goes through a pipeline, wherever the
// source reads it.
func TestLeastSumGoesThrough(t *testing.T) {
	rows := []update{at("row", 1, -math.MaxInt64), at("row", 1, -1), at("z", 1, 1)}
	want := []update{at("row", 1, math.MinInt64), at("z", 1, 1)}
	for name, batches := range map[string]bool{"batches": true, "records": false} {
		for where, live := range map[string]bool{"stored": false, "live": true} {
			t.Run(name+"/"+where, func(t *testing.T) {
				s := newStream(t, persist.Config{})
				write, read, err := persist.CreateOrLoad(s.ctx, s.client, "in", codec.String, codec.String)
				require.NoError(t, err)
				fill := func() {
					require.NoError(t, wait(s, write.Write(s.ctx, rows[:1])))
					require.NoError(t, wait(s, write.Write(s.ctx, rows[1:])))
					require.NoError(t, wait(s, write.Finish(s.ctx)))
				}
				if !live {
					fill()
					require.NoError(t, s.client.Maintain(s.ctx)) // which adds them up
				}
				var src streams.Source = source.New(s.ctx, read)
				if batches {
					src = source.NewBatches(s.ctx, read)
				}
				if live {
					fill()
				}
				to := sink.New(s.ctx, s.write)
				src.Via(flow.NewPassThrough()).To(to)
				require.NoError(t, to.Err())
				require.Equal(t, want, s.contents())
				if batches {
					require.Equal(t, frontier.Empty(), s.upper())
				}
			})
		}
	}
}
