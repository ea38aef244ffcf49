package disk

import (
	"github.com/cespare/xxhash/v2"
)

// State tells the images of a journal apart. States can be compared.
type State struct {
	sum    uint64 // digest of the files
	marks  int    // marks so far
	killed bool   // the files are not durable
}

// sums caches the digests of contents, which many images share.
type sums map[contentsKey]uint64

type contentsKey struct {
	first *byte
	size  int
}

const maxSums = 1 << 14

// of returns a digest of the names and contents of all files.
func (s sums) of(m *Disk) (sum uint64) {
	if len(s) > maxSums {
		clear(s)
	}
	var d xxhash.Digest
	for name, n := range m.names {
		d.Reset()
		_, _ = d.WriteString(name)
		var b [8]byte
		c := s.contents(n.data)
		for i := range b {
			b[i] = byte(c >> (8 * i))
		}
		_, _ = d.Write(b[:])
		sum += d.Sum64()
	}
	return sum
}

func (s sums) contents(b []byte) uint64 {
	if len(b) == 0 {
		return 0
	}
	key := contentsKey{&b[0], len(b)}
	sum, ok := s[key]
	if !ok {
		sum = xxhash.Sum64(b)
		s[key] = sum
	}
	return sum
}
