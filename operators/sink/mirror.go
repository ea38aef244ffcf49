package sink

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// mirrorKind is what a row of the side stream says of a row of the output.
type mirrorKind int

const (
	present   mirrorKind = iota // this row is in the output
	announced                   // this row is in the output as often as it has arrived
	arrived                     // the announced row with this sum is in the output
)

// noDiff stands where a present row has its diff. It is math.MinInt64, a diff that no write
// takes.
const noDiff = 1 << 63

// mirror returns the row of the side stream that says kind of a row of the output: see
// docs/parts.md.
func mirror(kind mirrorKind, r persist.Row, gen uint64) persist.Row {
	val := make([]byte, 0, 24+max(len(r.Val), sha256.Size))
	val = binary.BigEndian.AppendUint64(val, r.Time)
	if kind != present {
		val = binary.BigEndian.AppendUint64(val, noDiff)
	}
	if kind == arrived {
		val = binary.BigEndian.AppendUint64(val, 0)
		return persist.Row{Val: append(val, sumOf(r)...), Time: gen, Diff: 1}
	}
	val = binary.BigEndian.AppendUint64(val, uint64(r.Diff))
	return persist.Row{Key: r.Key, Val: append(val, r.Val...), Time: gen, Diff: 1}
}

// unmirror is the reverse of mirror. For a row that has arrived, the value is the row's
// sum.
func unmirror(key, val []byte) (r persist.Row, kind mirrorKind, err error) {
	next := func() (v uint64) {
		if len(val) < 8 {
			err = fmt.Errorf("%w: a row with a value of %d bytes", storage.ErrCorrupt, len(val))
			return 0
		}
		v, val = binary.BigEndian.Uint64(val), val[8:]
		return v
	}
	r.Time = next()
	if r.Diff = int64(next()); uint64(r.Diff) == noDiff && err == nil {
		kind = announced
		if r.Diff = int64(next()); r.Diff == 0 { // no row of 0 is announced: see measure
			kind = arrived
		}
	}
	r.Key, r.Val = key, val
	return r, kind, err
}

// sumOf identifies an announced row.
func sumOf(r persist.Row) []byte {
	h := sha256.New()
	var head [24]byte
	binary.BigEndian.PutUint64(head[:], uint64(len(r.Key)))
	binary.BigEndian.PutUint64(head[8:], r.Time)
	binary.BigEndian.PutUint64(head[16:], uint64(r.Diff))
	for _, b := range [][]byte{head[:], r.Key, r.Val} {
		h.Write(b) // never fails, as documented
	}
	return h.Sum(nil)
}
