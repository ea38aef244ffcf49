package indexed

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidemark-go/tidemark/internal/brief"
)

// Names of streams and codecs are stored with a stream for ever, and other programs show
// them: in metrics, in the metadata of parts, in messages. So they are short, and valid
// UTF-8 with any characters. Streams of older versions may have other names. These work as
// before, and ShownName makes them presentable.
const (
	maxNameBytes      = 1 << 10 // of a stream
	maxCodecNameBytes = 4 << 10 // the name of a composite codec has the names of its parts
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

// ShownName returns the name of a stream for metrics and messages. A name that a stream
// could be given today is returned as it is. Any other name is escaped and cut to 64 bytes,
// with the id of the stream behind it.
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

// labelLocked returns the label of a stream in metrics. No other stream has the same label:
// two equal ones would make the whole scrape fail.
func (st *state) labelLocked(s *stream) string {
	label := s.shownName()
	for label != s.name && st.names[label] != nil {
		label += "#"
	}
	return label
}

// quoteName quotes a name for a message. A name that is too long for a stream is cut short.
func quoteName(name string) string {
	if len(name) > maxNameBytes {
		return brief.Bytes(name)
	}
	return strconv.Quote(name)
}
