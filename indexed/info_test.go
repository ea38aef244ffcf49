package indexed

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
)

// What is printed of a stream counts what is in no batch yet as well.
func TestStreamInfoPrintsTheTail(t *testing.T) {
	info := StreamInfo{
		ID: 3, Name: "words", Description: frontier.Description{Upper: frontier.At(7), Since: frontier.At(2)},
		TailBytes: 4096, Batches: 2, Rows: 12,
	}
	require.Equal(t, `stream "words", Id(3): upper {7}, since {2}, 12 updates in 2 batches, and 4096 bytes of updates in the log`, info.String())
}
