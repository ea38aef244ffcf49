package part

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/s2"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/storage"
)

// sampleBatches are batches of one page, of several pages, of several row groups, and of
// several parts. Their keys have nothing in common, or more than a separator takes.
func sampleBatches(t require.TestingT) (batches []Written, blobs []*manyBlobs) {
	long := string(bytes.Repeat([]byte("l"), MaxSeparator))
	for _, c := range []struct {
		cfg    Config
		prefix string
		rows   int
	}{
		{Config{PartBytes: 4 << 20}, "", 3},
		{Config{PartBytes: 4 << 20, LeastGroup: 4000}, "key-", 60},
		{Config{PartBytes: 4 << 20, LeastGroup: 400}, long, 40},
		{Config{PartBytes: 1000, LeastGroup: 400}, "key-", 60},
	} {
		c.cfg.CacheBytes = 1 // row groups are read as such, and the cache hides nothing
		var rows []Row
		for i := range c.rows {
			// Some keys have several rows.
			rows = append(rows, Row{fmt.Appendf(nil, "%s%03d", c.prefix, i-i%7%3), fmt.Appendf(nil, "value %03d", i), uint64(i % 5), 1})
		}
		w, b := writeParts(t, c.cfg, rows)
		batches, blobs = append(batches, w), append(blobs, b)
	}
	return batches, blobs
}

// FuzzDecodeDirectory: whatever a directory says, it is of the part, and what it refers to is
// within the part.
func FuzzDecodeDirectory(f *testing.F) {
	batches, blobs := sampleBatches(f)
	for i, w := range batches {
		for _, p := range w.Parts {
			message := blobs[i].blobs[p.Key][p.Directory.At:][:p.Directory.Len]
			f.Add(message, p.Size, p.Rows, p.Bytes)
			f.Add(message, p.Size/2, p.Rows, p.Bytes)
			f.Add(message[:len(message)-1], p.Size, p.Rows, p.Bytes)
		}
	}
	f.Add([]byte{directoryVersion + 1}, int64(1), 1, RowOverhead)
	f.Add([]byte{directoryVersion, 0, 0xff, 0xff, 0xff, 0xff, 0x0f}, int64(1), 1, RowOverhead)
	f.Fuzz(func(t *testing.T, message []byte, size int64, rows, bytes int) {
		// The manifest vouches for these.
		p := &Part{Key: "k", Size: max(size, 1), Rows: max(rows, 1), Bytes: min(max(bytes, RowOverhead), math.MaxInt/4)}
		if p.Rows > p.Bytes/RowOverhead {
			return
		}
		var d *directory
		var err error
		limited(t, func() { d, err = decodeDirectory(message, p) })
		if err != nil {
			require.Equal(t, len(message) > 0 && message[0] > directoryVersion, errors.Is(err, storage.ErrNewerFormat), "%v", err)
			return
		}
		requireWithin(t, d, p)
		again, err := decodeDirectory(d.appendTo(nil), p)
		require.NoError(t, err)
		require.Equal(t, d, again)
	})
}

// requireWithin requires what decodeDirectory promises.
func requireWithin(t *testing.T, d *directory, p *Part) {
	rows, size := 0, 0
	var before []byte
	for i := range d.groups {
		g, separator := &d.groups[i], d.separator(i)
		require.LessOrEqual(t, len(separator), MaxSeparator)
		require.LessOrEqual(t, bytes.Compare(before, separator), 0)
		before = separator
		first, end := d.pagesOf(i)
		require.True(t, first < end && end-first <= g.rows)
		require.Equal(t, []int{i, i + 1}, []int{d.groupOf(first), d.groupOf(end)})
		requireInPart(t, p, g.index.At, g.index.Len)
		require.True(t, g.rows > 0 && g.keyBytes >= 0 && g.valBytes >= 0)
		rows, size = rows+g.rows, size+g.bytes()
		at := d.from(separator)
		require.True(t, at >= 0 && at <= i)
	}
	require.Equal(t, []int{p.Rows, p.Bytes}, []int{rows, size})
	_, last := d.pagesOf(len(d.groups) - 1)
	require.Equal(t, last, d.pages())
}

func requireInPart(t *testing.T, p *Part, at int64, length int) {
	require.True(t, at >= 0 && length >= 0 && int64(length) <= p.Size-at, "%d bytes at byte %d of %d", length, at, p.Size)
}

// FuzzDecodeGroupIndex: whatever the index of a row group says, it is of the group, and what it
// refers to is within the part.
func FuzzDecodeGroupIndex(f *testing.F) {
	batches, blobs := sampleBatches(f)
	for i, w := range batches {
		p := &w.Parts[0]
		data := blobs[i].blobs[p.Key]
		d, err := decodeDirectory(data[p.Directory.At:][:p.Directory.Len], p)
		require.NoError(f, err)
		g := &d.groups[0]
		message := data[g.index.At:][:g.index.Len]
		f.Add(message, p.Size, g.rows, g.pages, g.keyBytes, g.valBytes, d.separator(0), g.clean)
		f.Add(message, p.Size, g.rows, g.pages+1, g.keyBytes, g.valBytes, d.separator(0), g.clean)
		f.Add(message[:len(message)-1], p.Size/2, g.rows, g.pages, g.keyBytes, g.valBytes, d.separator(0), !g.clean)
	}
	f.Fuzz(func(t *testing.T, message []byte, size int64, rows, pages, keyBytes, valBytes int, separator []byte, clean bool) {
		// The directory vouches for these.
		g := dirGroup{
			rows: min(max(rows, 1), 1<<30), keyBytes: min(max(keyBytes, 0), 1<<29), valBytes: min(max(valBytes, 0), 1<<29),
			separator: min(len(separator), MaxSeparator), clean: clean,
		}
		g.pages = min(max(pages, 1), g.rows)
		d := &directory{groups: []dirGroup{g}, separators: separator[:g.separator]}
		p := &Part{Key: "k", Size: max(size, 1)}
		var x *groupIndex
		var err error
		limited(t, func() { x, err = decodeGroupIndex(message, p, d, 0) })
		if err != nil {
			return
		}
		require.Len(t, x.pages, g.pages)
		require.True(t, bytes.Equal(separator[:g.separator], x.separator(0)) && x.pages[0].clean == clean)
		sum := dirGroup{}
		for i := range x.pages {
			q := &x.pages[i]
			require.LessOrEqual(t, len(x.separator(i)), MaxSeparator)
			require.True(t, i == 0 || bytes.Compare(x.separator(i-1), x.separator(i)) <= 0)
			for c, at := range q.columns {
				requireInPart(t, p, at.at, at.len)
				require.True(t, at.header >= 0 && at.header <= at.len)
				require.True(t, c == 0 || q.columns[c-1].end() <= at.at)
			}
			require.True(t, q.rows > 0 && q.keyBytes >= 0 && q.valBytes >= 0)
			sum.rows, sum.keyBytes, sum.valBytes = sum.rows+q.rows, sum.keyBytes+q.keyBytes, sum.valBytes+q.valBytes
			at := x.from(x.separator(i))
			require.True(t, at >= 0 && at <= i)
			require.LessOrEqual(t, x.until(x.separator(i)), i)
		}
		require.Equal(t, []int{g.rows, g.bytes()}, []int{sum.rows, sum.bytes()})
		if x.filter != nil {
			x.filter.mayHave(separator)
		}
		x.filter = nil
		again, err := decodeGroupIndex(x.appendTo(nil), p, d, 0)
		require.NoError(t, err)
		require.Equal(t, x, again)
	})
}

// FuzzDecodeFilter: whatever a filter says, it can be asked; and a filter that was written
// says of no key in it that it is not there. The keys are cut from the data.
func FuzzDecodeFilter(f *testing.F) {
	written, err := appendFilter(nil, []uint64{1, 2, 3, math.MaxUint64})
	require.NoError(f, err)
	f.Add(written, []byte("key"))
	f.Add(written[:len(written)-1], []byte{})
	f.Add(append(bytes.Clone(written), 0), []byte{})
	f.Add(bytes.Repeat([]byte{0x15, 0xc0, 0x7f}, 50), bytes.Repeat([]byte{3}, 100))
	f.Fuzz(func(t *testing.T, data, key []byte) {
		var decoded filter
		var err error
		limited(t, func() { decoded, err = decodeFilter(data) })
		if err == nil {
			require.True(t, len(decoded) > 0 && len(decoded) <= len(data))
			decoded.mayHave(key)
		}
		hashes := []uint64{xxhash.Sum64(key)}
		for i := range data {
			hashes = append(hashes, xxhash.Sum64(data[i:min(len(data), i+3)]))
		}
		written, err := appendFilter(nil, hashes)
		require.NoError(t, err)
		again, err := decodeFilter(written)
		require.NoError(t, err)
		require.True(t, again.mayHave(key))
		for i := range data {
			require.True(t, again.mayHave(data[i:min(len(data), i+3)]))
		}
	})
}

// bodiesOf returns the values of the first page of a part, without compression.
func bodiesOf(t testing.TB, data []byte, p *Part) (bodies pieces, d *directory, page *dirPage) {
	d, err := decodeDirectory(data[p.Directory.At:][:p.Directory.Len], p)
	require.NoError(t, err)
	at := d.groups[0].index
	x, err := decodeGroupIndex(data[at.At:][:at.Len], p, d, 0)
	require.NoError(t, err)
	page = &x.pages[0]
	for c, at := range page.columns {
		bodies[c], err = s2.Decode(nil, data[at.at:][at.header:at.len])
		require.NoError(t, err)
	}
	return bodies, d, page
}

// partOfBodies returns a part of a row group of two equal pages with these values, with an index
// and a directory that agree with it.
func partOfBodies(bodies *pieces, encodings byte, rows, keyBytes, valBytes int) ([]byte, *Part) {
	x := &groupIndex{pages: make([]dirPage, 2)}
	for i := range x.pages {
		x.pages[i] = dirPage{rows: rows, keyBytes: keyBytes, valBytes: valBytes}
	}
	var data []byte
	for c := range bodies {
		for i := range x.pages {
			piece := s2.EncodeSnappy(nil, bodies[c])
			x.pages[i].columns[c].at, x.pages[i].columns[c].len = int64(len(data)), len(piece)
			data = append(data, piece...)
		}
	}
	for i := range x.pages {
		x.pages[i].sum = x.pages[i].sumOf(data)
	}
	add := func(message []byte) Region {
		data = append(data, message...)
		return Region{At: int64(len(data) - len(message)), Len: len(message), Sum: xxhash.Sum64(message)}
	}
	d := &directory{keysAsDelta: encodings&1 != 0, valsAsDelta: encodings&2 != 0}
	d.groups = []dirGroup{{rows: 2 * rows, keyBytes: 2 * keyBytes, valBytes: 2 * valBytes, pages: 2, index: add(x.appendTo(nil))}}
	p := &Part{Key: "k", Rows: 2 * rows, Bytes: d.groups[0].bytes(), Directory: add(d.appendTo(nil))}
	p.Size, p.Sum = int64(len(data)), xxhash.Sum64(data)
	return data, p
}

// FuzzPages decodes pages of any bytes, whose checksums are right: they have the rows that
// they are to have, or it is damage. A page that is read alone has the same rows as within
// the whole part.
func FuzzPages(f *testing.F) {
	batches, blobs := sampleBatches(f)
	for i, w := range batches {
		data := blobs[i].blobs[w.Parts[0].Key]
		bodies, d, page := bodiesOf(f, data, &w.Parts[0])
		encodings := byte(asIndex(d.keysAsDelta) | asIndex(d.valsAsDelta)<<1)
		f.Add(bodies[0], bodies[1], bodies[2], bodies[3], encodings, page.rows, page.keyBytes, page.valBytes)
		f.Add(bodies[0], bodies[1], bodies[2], bodies[3], encodings^3, page.rows, page.keyBytes, page.valBytes)
		f.Add(bodies[0][:len(bodies[0])-1], bodies[1], bodies[2], bodies[3], encodings, page.rows, page.keyBytes-1, page.valBytes)
	}
	f.Fuzz(func(t *testing.T, keys, vals, times, diffs []byte, encodings byte, rows, keyBytes, valBytes int) {
		rows, keyBytes, valBytes = min(max(rows, 1), 1000), min(max(keyBytes, 0), 100_000), min(max(valBytes, 0), 100_000)
		data, p := partOfBodies(&pieces{keys, vals, times, diffs}, encodings, rows, keyBytes, valBytes)
		store := blobsOver(t, data, 100)
		var whole Columns
		var err error
		limited(t, func() { whole, err = store.fetch(context.Background(), p, newMemory) })
		var rowsOfPages []Row
		var pagesErr error
		limited(t, func() { rowsOfPages, pagesErr = rowsOf(store.NewRanged([]Part{*p}, AllTimes, nil, nil, true)) })
		if err != nil {
			require.ErrorIs(t, err, storage.ErrCorrupt)
			require.ErrorIs(t, pagesErr, storage.ErrCorrupt)
			return
		}
		require.NoError(t, pagesErr)
		require.Equal(t, 2*rows, whole.Len())
		require.Equal(t, p.Bytes, whole.Size())
		requireRows(t, rowsOfPages, whole)
		for i := range rows {
			require.Equal(t, whole.Key(i), whole.Key(rows+i), "the pages are equal")
			require.Equal(t, whole.Diff(i), whole.Diff(rows+i))
		}
	})
}
