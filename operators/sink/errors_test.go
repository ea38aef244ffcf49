package sink_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/operators/sink"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// An error of a sink names the stream, and the key of the update that is at fault, of which
// it has no more than it takes to find it. Which of its command it is says nothing, since a
// sink puts elements together.
func TestErrorsNameTheKey(t *testing.T) {
	const sealed = 5
	long := strings.Repeat("k", 2<<10)
	filler := rowsOf(60, 400, sealed) // with these a batch is larger than a command
	for name, tt := range map[string]struct {
		bad           update
		record, batch error // nil: it is right there
	}{
		"value":       {update{Val: "\xff", Time: sealed, Diff: 1}, codec.ErrEncode, codec.ErrEncode},
		"sealed":      {update{Time: sealed - 1, Diff: 1}, persist.ErrSealed, persist.ErrInvalid},
		"time beyond": {update{Time: 9, Diff: 1}, nil, persist.ErrInvalid},
		"least diff":  {update{Time: sealed, Diff: math.MinInt64}, persist.ErrInvalid, persist.ErrInvalid},
		"too large":   {update{Val: strings.Repeat("x", 16<<10), Time: sealed, Diff: 1}, persist.ErrTooLarge, persist.ErrTooLarge},
	} {
		for of, says := range map[string]string{"oslo\n": `of key "oslo\n" at time `, long: `of key "` + long[:64] + `"... (2048 bytes) at time `} {
			bad := tt.bad
			bad.Key = of
			for kind, element := range map[string]any{
				"record":      bad,
				"records":     []update{at("good", sealed, 1), bad},
				"result":      result{Update: bad},
				"batch":       batchOf(sealed, 9, at("good", sealed, 1), bad),
				"large batch": batchOf(sealed, 9, append(filler[:len(filler):len(filler)], bad)...),
			} {
				want := tt.record
				if strings.HasSuffix(kind, "batch") {
					want = tt.batch
				}
				if want == nil {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/%.4q", name, kind, of), func(t *testing.T) {
					s := newStream(t, small)
					require.NoError(t, wait(s, s.write.Seal(s.ctx, sealed)))
					to := sink.New(s.ctx, s.write)
					feed(to, element)
					require.ErrorIs(t, to.Err(), want)
					require.ErrorContains(t, to.Err(), says)
					require.ErrorContains(t, to.Err(), `stream "out"`)
					require.Less(t, len(to.Err().Error()), 1000)
				})
			}
		}
	}
}

// A codec that ignores what it is handed is found where a batch is written in parts, too,
// and nothing is written.
func TestCodecsThatDoNotAppendInParts(t *testing.T) {
	s := newStream(t, small)
	bad := codec.Func("string", func(_ []byte, v string) ([]byte, error) { return []byte(v), nil }, codec.String.Decode)
	for name, codecs := range map[string][2]persist.Codec[string]{"key": {bad, codec.String}, "value": {codec.String, bad}} {
		write, _, err := persist.CreateOrLoad(s.ctx, s.client, "out", codecs[0], codecs[1])
		require.NoError(t, err)
		to := sink.New(s.ctx, write)
		feed(to, batchOf(0, 10, rowsOf(60, 402, 3)...))
		require.ErrorIs(t, to.Err(), persist.ErrInvalid, name)
		require.ErrorContains(t, to.Err(), `stream "out"`, name)
		require.ErrorContains(t, to.Err(), `encode `+name+`: invalid request: codec "string"`, name)
		require.Empty(t, s.contents(), name)
		s.requireIdle()
	}
}
