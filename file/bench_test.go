package file_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/storage"
)

// BenchmarkAppend is one writer, every append flushed (fdatasync on Linux).
//
// v=raw is the least that a durable append can cost on the disk at hand: the
// same number of bytes, written and flushed in a file that does not grow.
// v=growing is that in a file that does. v=log is a Log that is truncated as it
// goes, so that it uses its segments again; v=log-keep is one that is not, and
// has to fill new ones with zeros on the way.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{116, 64 << 10} {
		data := [][]byte{make([]byte, size)}
		for i := range data[0] {
			data[0][i] = byte(i * 7)
		}
		for _, v := range []string{"raw", "growing"} {
			b.Run(fmt.Sprintf("v=%s/size=%d", v, size), func(b *testing.B) {
				const room = 32 << 20
				f, err := os.Create(filepath.Join(b.TempDir(), "raw"))
				require.NoError(b, err)
				defer f.Close()
				if v == "raw" {
					zeros := make([]byte, 1<<20)
					for off := int64(0); off < room; off += int64(len(zeros)) {
						_, err := f.WriteAt(zeros, off)
						require.NoError(b, err)
					}
					require.NoError(b, f.Sync())
				}
				b.SetBytes(int64(size))
				off := int64(0)
				for b.Loop() {
					if off+int64(size) > room && v == "raw" {
						off = 0
					}
					_, err := f.WriteAt(data[0], off)
					if err == nil {
						err = file.Datasync(f)
					}
					if err != nil {
						b.Fatal(err)
					}
					off += int64(size)
				}
			})
		}
		for _, v := range []string{"log", "log-keep"} {
			b.Run(fmt.Sprintf("v=%s/size=%d", v, size), func(b *testing.B) {
				l, err := file.NewLog(b.TempDir())
				require.NoError(b, err)
				last := storage.SeqNo(0)
				step := func() {
					positions, err := l.Append(b.Context(), last, data)
					if err != nil {
						b.Fatal(err)
					}
					last = positions[0]
					if v == "log" && int(last)%(4<<20/size) == 0 {
						if err := l.Truncate(b.Context(), last); err != nil {
							b.Fatal(err)
						}
					}
				}
				if v == "log" {
					for range 96 << 20 / (64 << 10) { // until the segments have their full size
						positions, err := l.Append(b.Context(), last, [][]byte{make([]byte, 64<<10)})
						require.NoError(b, err)
						last = positions[0]
						require.NoError(b, l.Truncate(b.Context(), last))
					}
				}
				b.SetBytes(int64(size))
				for b.Loop() {
					step()
				}
				b.StopTimer()
				require.NoError(b, l.Close())
			})
		}
	}
}

// BenchmarkAppendRatio takes turns between a Log and a raw file as above, so
// that both see the same disk, and reports the median of each and their ratio.
func BenchmarkAppendRatio(b *testing.B) {
	for _, size := range []int{116, 64 << 10} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			data := [][]byte{make([]byte, size)}
			raw, err := os.Create(filepath.Join(b.TempDir(), "raw"))
			require.NoError(b, err)
			defer raw.Close()
			const room = 32 << 20
			_, err = raw.WriteAt(make([]byte, room), 0)
			require.NoError(b, err)
			require.NoError(b, raw.Sync())
			l, err := file.NewLog(b.TempDir(), file.SegmentSize(room, room))
			require.NoError(b, err)
			var raws, logs []time.Duration
			last := storage.SeqNo(0)
			for b.Loop() {
				start := time.Now()
				_, err := raw.WriteAt(data[0], int64(last)*int64(size)%(room-int64(size)))
				if err == nil {
					err = file.Datasync(raw)
				}
				middle := time.Now()
				if err == nil {
					_, err = l.Append(b.Context(), last, data)
				}
				if err != nil {
					b.Fatal(err)
				}
				logs = append(logs, time.Since(middle))
				raws = append(raws, middle.Sub(start))
				last++
			}
			b.StopTimer()
			median := func(d []time.Duration) float64 {
				slices.Sort(d)
				return float64(d[len(d)/2]) / float64(time.Microsecond)
			}
			b.ReportMetric(median(raws), "raw-us")
			b.ReportMetric(median(logs), "log-us")
			b.ReportMetric(median(logs)/median(raws), "log/raw")
			require.NoError(b, l.Close())
		})
	}
}

// BenchmarkRead reads a log of 64 MiB that is in the page cache.
func BenchmarkRead(b *testing.B) {
	const total = 64 << 20
	for _, size := range []int{116, 64 << 10} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			dir := b.TempDir()
			l, err := file.NewLog(dir)
			require.NoError(b, err)
			group := make([][]byte, max(1, 64<<10/size))
			for i := range group {
				group[i] = make([]byte, size)
			}
			last := storage.SeqNo(0)
			for range total / (64 << 10) {
				positions, err := l.Append(b.Context(), last, group)
				require.NoError(b, err)
				last = positions[len(positions)-1]
			}
			b.SetBytes(total)
			for b.Loop() {
				n := 0
				for _, err := range l.Read(b.Context(), 0) {
					if err != nil {
						b.Fatal(err)
					}
					n++
				}
				require.EqualValues(b, last, n)
			}
			b.StopTimer()
			require.NoError(b, l.Close())
		})
	}
}

// BenchmarkPoll is a reader of another handle that finds nothing new.
func BenchmarkPoll(b *testing.B) {
	dir := b.TempDir()
	l, err := file.NewLog(dir)
	require.NoError(b, err)
	_, err = l.Append(b.Context(), 0, [][]byte{make([]byte, 100)})
	require.NoError(b, err)
	r, err := file.NewLogReader(dir)
	require.NoError(b, err)
	for b.Loop() {
		for e, err := range r.Read(b.Context(), 1) {
			b.Fatalf("entry %v, error %v", e.SeqNo, err)
		}
	}
	require.NoError(b, r.Close())
	require.NoError(b, l.Close())
}

// BenchmarkList lists 100,000 blobs.
func BenchmarkList(b *testing.B) {
	const blobs = 100_000
	dir := b.TempDir()
	w, err := file.NewBlob(dir)
	require.NoError(b, err)
	require.NoError(b, w.Close())
	for i := range blobs { // as Set does, but for the flushes
		name := fmt.Sprintf("s%%2f1%%2ft-%d.parquet", i)
		require.NoError(b, os.WriteFile(filepath.Join(dir, "blob", "data", name), nil, 0o600))
	}
	r, err := file.NewBlobReader(dir)
	require.NoError(b, err)
	for b.Loop() {
		n := 0
		for _, err := range r.List(b.Context(), "s/") {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		require.Equal(b, blobs, n)
	}
	require.NoError(b, r.Close())
}
