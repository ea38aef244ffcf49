package file

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tidemark-go/tidemark/file/internal/vfs"
	"github.com/tidemark-go/tidemark/storage"
)

// The header of a segment is alone on the first page, so that no append writes near it:
//
//	0        8          12    16      24       32              40           48    60           64
//	+--------+----------+-----+-------+--------+---------------+------------+-----+------------+
//	| magic  | version  | 0   | salt  | index  | first position| file size  | 0   | header CRC |
//	+--------+----------+-----+-------+--------+---------------+------------+-----+------------+
const (
	segmentMagic      = "tidemlog"
	segmentVersion    = 1
	segmentHeaderSize = 64
	segmentDataStart  = 4096
	segmentSuffix     = ".log"

	maxPosition = 1 << 62 // no log gets there, and no sum with it overflows
)

// segmentName is the file name of the segment with an index.
func segmentName(index uint64) string {
	return fmt.Sprintf("%016d%s", index, segmentSuffix)
}

// segmentIndex is the inverse of segmentName. It reports false for other files.
func segmentIndex(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok {
		return 0, false
	}
	index, err := strconv.ParseUint(digits, 10, 64)
	return index, err == nil && index > 0 && segmentName(index) == name
}

// segmentIndexes returns the indexes of the segments among names, ascending.
func segmentIndexes(names []string) []uint64 {
	var indexes []uint64
	for _, n := range names {
		if index, ok := segmentIndex(n); ok {
			indexes = append(indexes, index)
		}
	}
	sort.Slice(indexes, func(i, j int) bool { return indexes[i] < indexes[j] })
	return indexes
}

// segmentHeader is what the first page of a segment says.
type segmentHeader struct {
	salt  uint64        // random; new each time that the file becomes a segment
	index uint64        // the segments of a log are numbered from 1 without gaps
	first storage.SeqNo // position of the first entry
	size  int64         // of the file, in bytes
}

func (h segmentHeader) encode() []byte {
	b := make([]byte, segmentHeaderSize)
	copy(b, segmentMagic)
	le := binary.LittleEndian
	le.PutUint32(b[8:], segmentVersion)
	le.PutUint64(b[16:], h.salt)
	le.PutUint64(b[24:], h.index)
	le.PutUint64(b[32:], uint64(h.first))
	le.PutUint64(b[40:], uint64(h.size))
	le.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
	return b
}

// decodeSegmentHeader decodes a header, and compares it with the name and the size of its file.
func decodeSegmentHeader(b []byte, name string, index uint64, size int64) (segmentHeader, error) {
	le := binary.LittleEndian
	switch {
	case len(b) < segmentHeaderSize || size < segmentDataStart+markSize:
		return segmentHeader{}, storage.Corruptf(name, size, "the file ends here: a segment has at least %d bytes", segmentDataStart+markSize)
	case string(b[:8]) != segmentMagic:
		return segmentHeader{}, storage.Corruptf(name, 0, "want a segment that begins with %q, found %q", segmentMagic, b[:8])
	case le.Uint32(b[60:]) != crc32.Checksum(b[:60], castagnoli):
		return segmentHeader{}, storage.Corruptf(name, 0, "segment header: checksum does not match")
	}
	switch v := le.Uint32(b[8:]); {
	case v > segmentVersion:
		return segmentHeader{}, fmt.Errorf("%w: %s has format version %d, this program knows %d: upgrade it", ErrNewerFormat, name, v, segmentVersion)
	case v < segmentVersion:
		return segmentHeader{}, storage.Corruptf(name, 8, "segment header: format version %d, which never was", v)
	}
	h := segmentHeader{
		salt:  le.Uint64(b[16:]),
		index: le.Uint64(b[24:]),
		first: storage.SeqNo(le.Uint64(b[32:])),
		size:  int64(le.Uint64(b[40:])),
	}
	switch {
	case h.index != index:
		return segmentHeader{}, storage.Corruptf(name, 0, "want segment %d, found segment %d: files were swapped, copied or renamed", index, h.index)
	case h.size != size:
		return segmentHeader{}, storage.Corruptf(name, min(h.size, size), "want a file of %d bytes, found %d", h.size, size)
	case h.first == 0 || h.first > maxPosition:
		return segmentHeader{}, storage.Corruptf(name, 0, "segment header: impossible first position %s", h.first)
	}
	return h, nil
}

// headerIndex returns the index of the segment that a file is, or was last.
func headerIndex(b []byte) (uint64, bool) {
	le := binary.LittleEndian
	if len(b) < segmentHeaderSize || le.Uint32(b[60:]) != crc32.Checksum(b[:60], castagnoli) {
		return 0, false
	}
	return le.Uint64(b[24:]), string(b[:8]) == segmentMagic
}

// segment is an open segment file. Each pointer to it that is kept counts as a reference.
// The file is closed when the last reference is released.
type segment struct {
	segmentHeader
	name     string // path
	f        vfs.File
	refs     atomic.Int32
	replaced atomic.Bool // a copy has taken its place, and the writer goes on in the copy

	points struct { // a sparse index of the frames seen so far
		sync.Mutex
		list []point
	}
}

// point says that the frame at off begins with position next.
type point struct {
	next storage.SeqNo
	off  int64
}

// pointDistance is how far apart the points of the index are, in bytes. A read that starts
// anywhere skips at most this much. 32 MiB need 8 KiB of index.
const pointDistance = 64 << 10

// newSegment makes a segment with one reference, which belongs to the caller. The segment
// owns f.
func newSegment(name string, f vfs.File, h segmentHeader) *segment {
	s := &segment{segmentHeader: h, name: name, f: f}
	s.refs.Store(1)
	return s
}

// openSegment opens the segment of dir with an index. If it fails, it closes the file.
func openSegment(dir string, index uint64, open func(string) (vfs.File, error)) (*segment, error) {
	name := filepath.Join(dir, segmentName(index))
	f, err := open(name)
	if err != nil {
		return nil, err
	}
	h, err := readSegmentHeader(f, name, index)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return newSegment(name, f, h), nil
}

func readSegmentHeader(f vfs.File, name string, index uint64) (segmentHeader, error) {
	size, err := f.Size()
	if err != nil {
		return segmentHeader{}, fmt.Errorf("size of segment %s: %w", name, err)
	}
	buf := make([]byte, segmentHeaderSize)
	n, err := f.ReadAt(buf, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return segmentHeader{}, fmt.Errorf("read header of segment %s: %w", name, err)
	}
	return decodeSegmentHeader(buf[:n], name, index, size)
}

// acquire adds a reference. REQUIRES: the caller knows of a reference that stays meanwhile.
func (s *segment) acquire() *segment {
	s.refs.Add(1)
	return s
}

// release gives up a reference.
func (s *segment) release() error {
	if s.refs.Add(-1) > 0 {
		return nil
	}
	return s.f.Close()
}

// start is the place of the segment's first frame.
func (s *segment) start() point { return point{next: s.first, off: segmentDataStart} }

// note adds a frame to the index, if it is far enough from the point before.
func (s *segment) note(p point) {
	s.points.Lock()
	defer s.points.Unlock()
	last := s.start()
	if n := len(s.points.list); n > 0 {
		last = s.points.list[n-1]
	}
	if p.off >= last.off+pointDistance {
		s.points.list = append(s.points.list, p)
	}
}

// seek returns a place at or before the frame that holds a position. REQUIRES: pos >=
// s.first.
func (s *segment) seek(pos storage.SeqNo) point {
	s.points.Lock()
	defer s.points.Unlock()
	list := s.points.list
	i := sort.Search(len(list), func(i int) bool { return list[i].next > pos })
	if i == 0 {
		return s.start()
	}
	return list[i-1]
}

// damaged makes the error for bytes of this segment that are not what they should be.
func (s *segment) damaged(off int64, format string, args ...any) error {
	return storage.Corruptf(s.name, off, format, args...)
}
