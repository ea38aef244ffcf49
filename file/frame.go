package file

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/tidemark-go/tidemark/storage"
)

// A segment is a header page and then frames, each on an 8-byte boundary:
//
//	 0        1        2        3        4                8               12              16
//	+--------+--------+--------+--------+----------------+---------------+---------------+
//	|  'T'      'm'      'f'   |  kind  | count          | length        | payload CRC   |
//	+--------+--------+--------+--------+----------------+---------------+---------------+
//	| position                          (16..24)         | 0             | header CRC    |
//	+------------------------------------------------------------------------------------+
//	| payload: count times { length: 4 bytes, entry }, then zeros up to the boundary     |
//	+------------------------------------------------------------------------------------+
//
// Numbers are little-endian. The header CRC is CRC-32C of the 28 bytes before it,
// exclusive-or a tag made of the segment's salt and the frame's offset. So a frame is valid
// at one place, in one life of one segment file. Bytes of an earlier life of the file are not
// valid, and neither is a copy of a frame at another place.
//
// One append is one group frame. A mark is two headers without payload. The second one is the
// echo: it is there in case the first is damaged. A mark says that everything before it is
// durable. The next group overwrites it. An end mark also says that the next segment exists,
// durably.
const (
	frameHeaderSize = 32
	frameAlign      = 8
	markSize        = 2 * frameHeaderSize
	entryHeaderSize = 4
	frameMagic      = 'T' | 'm'<<8 | 'f'<<16
)

type frameKind byte

const (
	kindGroup   frameKind = 'G'
	kindMark    frameKind = 'M'
	kindMarkTwo frameKind = 'm' // the echo of a mark
	kindEnd     frameKind = 'E'
	kindEndTwo  frameKind = 'e' // the echo of an end mark
)

// echo returns the kind of the second half of a mark.
func (k frameKind) echo() frameKind { return k | 0x20 }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// frameHeader is the decoded header of a frame.
type frameHeader struct {
	kind   frameKind
	count  uint32        // entries
	length uint32        // bytes of payload
	sum    uint32        // CRC-32C of the payload
	first  storage.SeqNo // position of the first entry; in a mark, of the entry that will follow
}

// size is how many bytes the frame takes in the segment.
func (h frameHeader) size() int64 { return frameSize(int64(h.length)) }

func frameSize(payload int64) int64 {
	return (frameHeaderSize + payload + frameAlign - 1) &^ (frameAlign - 1)
}

// put encodes the header. salt and off are those of the one place where it is valid.
func (h frameHeader) put(b []byte, salt uint64, off int64) {
	le := binary.LittleEndian
	le.PutUint32(b[0:], frameMagic|uint32(h.kind)<<24)
	le.PutUint32(b[4:], h.count)
	le.PutUint32(b[8:], h.length)
	le.PutUint32(b[12:], h.sum)
	le.PutUint64(b[16:], uint64(h.first))
	le.PutUint32(b[24:], 0)
	le.PutUint32(b[28:], crc32.Checksum(b[:28], castagnoli)^placeTag(salt, off))
}

// parseFrameHeader decodes the header at the start of b, which was read at off. It reports
// false for bytes that no writer of this segment wrote at off.
func parseFrameHeader(b []byte, salt uint64, off int64) (frameHeader, bool) {
	le := binary.LittleEndian
	if len(b) < frameHeaderSize || le.Uint32(b)&0xffffff != frameMagic {
		return frameHeader{}, false
	}
	if le.Uint32(b[28:]) != crc32.Checksum(b[:28], castagnoli)^placeTag(salt, off) {
		return frameHeader{}, false
	}
	h := frameHeader{
		kind:   frameKind(b[3]),
		count:  le.Uint32(b[4:]),
		length: le.Uint32(b[8:]),
		sum:    le.Uint32(b[12:]),
		first:  storage.SeqNo(le.Uint64(b[16:])),
	}
	switch h.kind {
	case kindGroup:
		return h, h.count > 0 && uint64(h.count)*entryHeaderSize <= uint64(h.length) && h.length <= MaxAppendSize
	case kindMark, kindMarkTwo, kindEnd, kindEndTwo:
		return h, h.count == 0 && h.length == 0
	default:
		return frameHeader{}, false
	}
}

// placeTag mixes salt and offset so that every bit of either changes about half of the
// result.
func placeTag(salt uint64, off int64) uint32 {
	x := salt ^ uint64(off)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	x ^= x >> 31
	//museum:old-life-of-a-file
	return uint32(x) ^ uint32(x>>32)
}

// appendGroup appends the frame of a group to b, which must be empty. REQUIRES: at least
// one entry, and a payload within MaxAppendSize.
func appendGroup(b []byte, salt uint64, off int64, first storage.SeqNo, entries [][]byte) []byte {
	b = append(b, make([]byte, frameHeaderSize)...)
	for _, e := range entries {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(e)))
		b = append(b, e...)
	}
	payload := b[frameHeaderSize:]
	h := frameHeader{
		kind:   kindGroup,
		count:  uint32(len(entries)),
		length: uint32(len(payload)),
		sum:    crc32.Checksum(payload, castagnoli),
		first:  first,
	}
	for int64(len(b)) < h.size() {
		b = append(b, 0)
	}
	h.put(b, salt, off)
	return b
}

// putMark encodes both halves of a mark of the given kind.
func putMark(b []byte, kind frameKind, salt uint64, off int64, next storage.SeqNo) {
	h := frameHeader{kind: kind, first: next}
	h.put(b, salt, off)
	h.kind = kind.echo()
	h.put(b[frameHeaderSize:], salt, off+frameHeaderSize)
}

// parseMark decodes a mark that was read at off. There is a mark if one half is valid.
// whole reports that both halves are valid and agree.
func parseMark(b []byte, salt uint64, off int64) (h frameHeader, whole, ok bool) {
	one, okOne := parseFrameHeader(b, salt, off)
	okOne = okOne && (one.kind == kindMark || one.kind == kindEnd)
	var two frameHeader
	var okTwo bool
	if len(b) >= markSize {
		two, okTwo = parseFrameHeader(b[frameHeaderSize:], salt, off+frameHeaderSize)
		okTwo = okTwo && (two.kind == kindMarkTwo || two.kind == kindEndTwo)
	}
	switch {
	case okOne:
		return one, okTwo && two.kind == one.kind.echo() && two.first == one.first, true
	case okTwo:
		two.kind &^= 0x20
		return two, false, true
	default:
		return frameHeader{}, false, false
	}
}

// nextEntry splits the first entry off a payload.
func nextEntry(payload []byte) (entry, rest []byte, ok bool) {
	if len(payload) < entryHeaderSize {
		return nil, nil, false
	}
	n := uint64(binary.LittleEndian.Uint32(payload))
	payload = payload[entryHeaderSize:]
	if n > uint64(len(payload)) {
		return nil, nil, false
	}
	return payload[:n:n], payload[n:], true
}

// checkPayload returns what is wrong with a payload; "": nothing.
func (h frameHeader) checkPayload(payload []byte) string {
	//museum:torn-taken-for-whole
	if crc32.Checksum(payload, castagnoli) != h.sum {
		return "payload checksum does not match"
	}
	for range h.count {
		var ok bool
		if _, payload, ok = nextEntry(payload); !ok {
			return "an entry is longer than its group"
		}
	}
	if len(payload) != 0 {
		return "bytes left over after the last entry"
	}
	return ""
}
