package indexed

import (
	"github.com/tidemark-go/tidemark/frontier"
)

// StreamInfo describes a live stream: see persist.StreamInfo.
type StreamInfo struct {
	ID                 StreamID
	Name               string
	KeyCodec, ValCodec string
	frontier.Description
	TailBytes  int64
	Batches    int
	Rows       int64
	BatchBytes int64
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
