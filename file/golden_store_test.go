package file_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/internal/proof"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// Every store of every format that was ever released opens with the contents that it
// had: for reading, by keys too, without a byte that changes, and for writing, after which it can be
// written and opened again. Damage is what it was, and is reported in the same words.
func TestGoldenStores(t *testing.T) {
	var opened, readByKeys atomic.Int64
	t.Run("all", func(t *testing.T) {
		eachGolden(t, "", func(t *testing.T, archive string) {
			ctx := t.Context()
			dir := unpackGolden(t, archive)
			data, err := os.ReadFile(strings.TrimSuffix(archive, ".tar.gz") + ".txt")
			require.NoError(t, err)
			want, sum := string(data), sumOfStore(t, dir)
			require.Equal(t, want, describeReading(ctx, dir))
			readByKeys.Add(int64(requireStoreReadsByKeys(t, dir)))
			require.Equal(t, sum, sumOfStore(t, dir), "reading changed something")
			opened.Add(1)

			c, err := openGolden(ctx, dir)
			if err != nil {
				require.ErrorIs(t, err, persist.ErrCorrupt)
				require.Equal(t, want, "cannot be opened: "+goldenError(dir, err)+"\n")
				require.Equal(t, sum, sumOfStore(t, dir), "a store that cannot be opened was changed")
				return
			}
			require.Equal(t, want, describeWriting(ctx, c))
			added := writeMore(t, c)
			more := describeWriting(ctx, c)
			requireOnlyAdded(t, want, more, added)
			if !strings.HasPrefix(goldenName(archive), "damaged") {
				require.NoError(t, c.Maintain(ctx))
			}
			require.NoError(t, c.Close())
			require.Equal(t, more, describeReading(ctx, dir))
			requireStoreReadsByKeys(t, dir) // what maintenance has written anew has directories
			c, err = openGolden(ctx, dir)
			require.NoError(t, err)
			require.Equal(t, more, describeWriting(ctx, c))
			require.NoError(t, c.Close())
			opened.Add(1)
		})
	})
	require.Greater(t, readByKeys.Load(), int64(1000))
	proof.Reached(t, 18, "golden stores opened", opened.Load())
}

// writeMore adds an update to a stream that takes one, and a new stream. It
// returns the lines that describe what it has added.
func writeMore(t *testing.T, c *persist.Client) (lines []string) {
	ctx := t.Context()
	streams, err := c.Streams(ctx)
	require.NoError(t, err)
	for _, s := range slices.Backward(streams) { // the first one may be damaged
		at, ok := s.Upper.Elem()
		if !ok {
			continue
		}
		w, _, err := persist.CreateOrLoad(ctx, c, s.Name, rawCodec(s.KeyCodec), rawCodec(s.ValCodec))
		require.NoError(t, err)
		goldenDone(t, w.Write(ctx, []persist.Update[[]byte, []byte]{{Key: []byte("~added"), Time: at, Diff: 3}}))
		lines = append(lines, fmt.Sprintf("\t%q %q at %d: +3", "~added", "", at))
		break
	}
	w, _, err := persist.CreateOrLoad(ctx, c, "new", codec.String, codec.String)
	require.NoError(t, err)
	goldenDone(t, w.Write(ctx, []persist.Update[string, string]{goldenUpdate("k", "v", 5, 1)}))
	goldenDone(t, w.Seal(ctx, 6))
	id, err := w.StreamID()
	require.NoError(t, err)
	return append(lines, fmt.Sprintf("%s %q of string and string, upper {6}, since {0}", id, "new"), "\t\"k\" \"v\" at 5: +1")
}

// requireOnlyAdded checks that of two descriptions the second one has these lines more,
// and else the same ones in the same order.
func requireOnlyAdded(t *testing.T, before, after string, lines []string) {
	missing := map[string]bool{}
	for _, l := range lines {
		missing[l] = true
	}
	var rest []string
	for l := range strings.Lines(after) {
		if l = strings.TrimSuffix(l, "\n"); missing[l] {
			delete(missing, l)
		} else if !strings.HasPrefix(l, "seqno ") {
			rest = append(rest, l)
		}
	}
	require.Empty(t, missing, "in\n%s", after)
	var want []string
	for l := range strings.Lines(before) {
		if l = strings.TrimSuffix(l, "\n"); !strings.HasPrefix(l, "seqno ") {
			want = append(want, l)
		}
	}
	require.Equal(t, want, rest)
}
