package persist

import (
	"fmt"
	"strconv"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
)

// StreamID numbers the streams of a location from 0 on, in the order of their registration.
// An id is never used again, even if its stream was destroyed.
type StreamID uint64

// String returns the id as "Id(0)".
func (id StreamID) String() string { return indexed.StreamID(id).String() }

// StreamInfo describes a live stream, as Client.Streams found it.
type StreamInfo struct {
	// ID and Name identify the stream.
	ID   StreamID
	Name string
	// KeyCodec and ValCodec are the names of the codecs that the stream was registered with.
	KeyCodec, ValCodec string
	// Description has the Upper and the Since of the stream. Lower is {0}.
	frontier.Description
	// TailBytes is the size of the updates that are in the log and not yet in a batch, in
	// bytes of their encoding.
	TailBytes int64
	// Batches is the number of batches of the stream, and Rows the number of updates in
	// them. If several batches have equal rows, each of the rows counts until a merge adds
	// them up.
	Batches int
	Rows    int64
	// BatchBytes is the size of the files of these batches.
	BatchBytes int64
}

// String returns one line with the name, the id, the frontiers and the sizes.
func (i StreamInfo) String() string {
	//museum:name-as-a-whole
	return fmt.Sprintf("stream %s, %s: upper %s, since %s, %d updates in %d batches, and %d bytes of updates in the log",
		strconv.Quote(indexed.ShownName(indexed.StreamID(i.ID), i.Name)), i.ID, i.Upper, i.Since, i.Rows, i.Batches, i.TailBytes)
}

func infoOf(i indexed.StreamInfo) StreamInfo {
	return StreamInfo{
		ID: StreamID(i.ID), Name: i.Name, KeyCodec: i.KeyCodec, ValCodec: i.ValCodec,
		Description: i.Description, TailBytes: i.TailBytes,
		Batches: i.Batches, Rows: i.Rows, BatchBytes: i.BatchBytes,
	}
}
