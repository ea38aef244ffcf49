package persist

import (
	"fmt"
	"math"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/internal/brief"
)

// Row is one update, encoded. The method that yields rows says three things: whether they
// are sorted, whether equal ones are added up, and how long Key and Val are valid. Key and
// Val must not be changed.
type Row struct {
	Key, Val []byte // as the codecs of the stream encode them
	Time     uint64
	Diff     int64
}

// Codecs returns the codecs of the stream's keys and values. It is for operators that write
// encoded rows: see EncodeRow.
func (w *WriteHandle[K, V]) Codecs() (Codec[K], Codec[V]) { return w.kc, w.vc }

// Client returns the client that the handle was made with. It is for operators that keep
// streams of their own beside the given one. Closing it closes the client of the handle. It
// is nil for a handle that carries an error.
func (w *WriteHandle[K, V]) Client() *Client {
	if w.Err() != nil {
		return nil
	}
	return &Client{owned: w.owned, writer: w.writer}
}

// MaxCommandBytes returns how many bytes of encoded updates a command may have. A larger
// command is refused with ErrTooLarge. Each update counts 24 bytes beside its key and
// value. MaxCommandBytes is 0 for a handle that carries an error.
func (w *WriteHandle[K, V]) MaxCommandBytes() int64 {
	if w.Err() != nil {
		return 0
	}
	return w.writer.MaxCommandBytes()
}

// EncodeRow appends an update to dst, in the encoding of a write. It returns a row that
// refers to the result, and the result, which has a few bytes beside the row.
//
// Errors, which name the key: the codecs'; ErrInvalid names a codec that does not append to
// the bytes that it is given.
func EncodeRow[K, V any](dst []byte, kc Codec[K], vc Codec[V], u *Update[K, V]) (Row, []byte, error) {
	row, dst, err := indexed.AppendRow[K, V](dst, kc, vc, u.Key, u.Val)
	if err != nil {
		return Row{}, dst, fmt.Errorf("update of key %s at time %d: %w", brief.Value(u.Key), u.Time, err)
	}
	row.Time, row.Diff = u.Time, u.Diff
	return Row(row), dst, nil
}

// AddRows adds updates in the encoding of the stream, such as Snapshot.Raw yields. The
// caller may change their times and negate their diffs. AddRows copies the rows. So a row
// can be retracted as it is, whatever version of a codec wrote it.
//
// AddRows refuses a row whose diff is math.MinInt64, which a sum may be: it has no
// negation. Add it as two rows, of -math.MaxInt64 and -1.
//
// Errors: as AddWrite.
func AddRows(b *AtomicWrite, s Stream, rows []Row) error {
	h := s.writeHandle()
	if err := b.admit(h); err != nil {
		return err
	}
	var columns indexed.ColumnsBuilder
	for i := range rows {
		if i == 1 {
			columns.Grow(len(rows) - 1)
		}
		r := &rows[i]
		if r.Diff == math.MinInt64 {
			return h.invalid("%s, has the diff %d, "+leastDiff, whichRow(i, rows), r.Diff)
		}
		if err := columns.Add(r.Key, r.Val, r.Time, r.Diff); err != nil {
			return fmt.Errorf("tidemark: stream %q: %s: %w", h.name, whichRow(i, rows), err)
		}
	}
	b.cmd.WriteFrom(h.engineID(), &columns)
	return nil
}

func whichRow(i int, rows []Row) string {
	return fmt.Sprintf("row %d of %d, of key %s at time %d", i, len(rows), brief.Bytes(rows[i].Key), rows[i].Time)
}

// AddExpectUpper makes the whole atomic write fail with ErrUpperMismatch unless the upper
// of the stream is the expected one.
//
// Errors: as AddFinish.
func AddExpectUpper(b *AtomicWrite, s Stream, expected frontier.Antichain) error {
	h := s.writeHandle()
	if err := b.admit(h); err != nil {
		return err
	}
	b.cmd.ExpectUpper(h.engineID(), expected)
	return nil
}
