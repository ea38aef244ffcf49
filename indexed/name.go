package indexed

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidemark-go/tidemark/internal/brief"
)

// Names of streams and codecs are stored with a stream for ever, and shown to others:
// in metrics, in the metadata of parts, in messages. So they are short and valid UTF-8,
// whatever characters they have. Streams of older versions may have other names; these
// work as before, and are shown as ShownName says.
const (
	maxNameBytes      = 1 << 10 // of a stream
	maxCodecNameBytes = 4 << 10 // those of composites have the names of their parts
)

// checkNames checks the names of a new stream.
func checkNames(name, keyCodec, valCodec string) error {
	for _, n := range []struct {
		what, name string
		most       int
	}{
		{"stream name", name, maxNameBytes},
		{"name of the key codec", keyCodec, maxCodecNameBytes},
		{"name of the value codec", valCodec, maxCodecNameBytes},
	} {
		if len(n.name) < 1 || len(n.name) > n.most || !utf8.ValidString(n.name) {
			return fmt.Errorf("tidemark: stream %s: %w: the %s is %s: it must be valid UTF-8 of 1 to %d bytes, and it has %d: choose another",
				brief.Bytes(name), ErrInvalid, n.what, brief.Bytes(n.name), n.most, len(n.name))
		}
	}
	return nil
}

func (s *stream) shownName() string { return ShownName(s.id, s.name) }

// ShownName returns what a stream is called where others read it: its name, if it could be
// given today, and else as much of it as can be shown, with the stream's id.
func ShownName(id StreamID, name string) string {
	if len(name) <= maxNameBytes && utf8.ValidString(name) {
		return name
	}
	const most = 64 // bytes of the name
	var shown strings.Builder
	for i, r := range name {
		if i >= most {
			shown.WriteString("...")
			break
		}
		if _, size := utf8.DecodeRuneInString(name[i:]); r == utf8.RuneError && size == 1 {
			fmt.Fprintf(&shown, `\x%02x`, name[i])
		} else {
			shown.WriteRune(r)
		}
	}
	fmt.Fprintf(&shown, "#%d", uint64(id))
	return shown.String()
}

// labelLocked returns the label of a stream in metrics, which no other stream has: of two
// streams with one label no metric could be read.
func (st *state) labelLocked(s *stream) string {
	label := s.shownName()
	for label != s.name && st.names[label] != nil {
		label += "#"
	}
	return label
}

// quoteName quotes a name for a message: as a whole, unless nobody could give it today.
func quoteName(name string) string {
	if len(name) > maxNameBytes {
		return brief.Bytes(name)
	}
	return strconv.Quote(name)
}
