package persist_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
)

// What is printed of a stream counts what is in no batch yet as well.
func TestStreamInfoPrintsTheTail(t *testing.T) {
	info := persist.StreamInfo{
		ID: 3, Name: "words", Description: frontier.Description{Upper: frontier.At(7), Since: frontier.At(2)},
		TailBytes: 4096, Batches: 2, Rows: 12,
	}
	require.Equal(t, `stream "words", Id(3): upper {7}, since {2}, 12 updates in 2 batches, and 4096 bytes of updates in the log`, info.String())
}

// Names that older versions took, of any length and any bytes, are printed in one short line.
func TestStreamInfoPrintsAnyName(t *testing.T) {
	for _, name := range []string{strings.Repeat("long", 1<<18), "\xff\xfe", "two\nlines", ""} {
		text := persist.StreamInfo{Name: name}.String()
		require.Less(t, len(text), 400)
		require.NotContains(t, text, "\n")
	}
}

// Streams tells all that there is to know of a stream.
func TestStreams(t *testing.T) {
	c := start(t, memPlace{mem.NewRegistry()}, onDemand())
	create(t, c, "first")
	w, _ := create(t, c, "second")
	must(t, w.Write(t.Context(), twoUpdates))
	require.NoError(t, c.Maintain(t.Context()))
	must(t, w.Write(t.Context(), twoUpdates))
	must(t, w.Seal(t.Context(), 7))
	must(t, w.AllowCompaction(t.Context(), frontier.At(1)))

	infos, err := c.Streams(t.Context())
	require.NoError(t, err)
	require.Len(t, infos, 2)
	id, err := w.StreamID()
	require.NoError(t, err)
	info := infos[1]
	require.Positive(t, info.TailBytes)
	require.Positive(t, info.BatchBytes)
	info.TailBytes, info.BatchBytes = 0, 0
	require.Equal(t, persist.StreamInfo{
		ID: id, Name: "second", KeyCodec: "string", ValCodec: "string",
		Description: frontier.Description{Upper: frontier.At(7), Since: frontier.At(1)},
		Batches:     1, Rows: int64(len(twoUpdates)),
	}, info)
	require.NoError(t, c.Stop())
	_, err = c.Streams(t.Context())
	require.ErrorIs(t, err, persist.ErrStopped)
}
