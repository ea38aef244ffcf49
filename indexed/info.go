package indexed

import (
	"fmt"

	"github.com/tidemark-go/tidemark/frontier"
)

// StreamInfo describes a live stream.
type StreamInfo struct {
	ID                 StreamID
	Name               string
	KeyCodec, ValCodec string
	frontier.Description
	// TailBytes are the encoded updates that are in the log and not yet in a batch.
	TailBytes int64
	// Batches, Rows and BatchBytes count the immutable batches, their updates, and
	// the bytes of their blobs.
	Batches    int
	Rows       int64
	BatchBytes int64
}

func (i StreamInfo) String() string {
	//museum:name-as-a-whole
	return fmt.Sprintf("stream %s, %s: upper %s, since %s, %d updates in %d batches, and %d bytes of updates in the log", quoteName(i.Name), i.ID, i.Upper, i.Since, i.Rows, i.Batches, i.TailBytes)
}

func (s *stream) infoLocked() StreamInfo {
	info := StreamInfo{
		ID: s.id, Name: s.name, KeyCodec: s.keyCodec, ValCodec: s.valCodec,
		Description: s.description(), TailBytes: s.tailBytes,
		Batches: len(s.set.trace) + len(s.set.unsealed),
	}
	for _, b := range s.set.all() {
		info.Rows += b.rows
		info.BatchBytes += b.size()
	}
	return info
}

func (st *state) describeLocked(name string) (frontier.Description, error) {
	s, err := st.liveLocked(name)
	if err != nil {
		return frontier.Description{}, err
	}
	return s.description(), nil
}

func (st *state) infosLocked() []StreamInfo {
	infos := make([]StreamInfo, 0, len(st.streams))
	for s := range st.sortedStreamsLocked() {
		infos = append(infos, s.infoLocked())
	}
	return infos
}
