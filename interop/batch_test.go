package interop_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// update has its key and value as bytes, so that they are encoded as they are.
type update = persist.Update[[]byte, []byte]

// place is a location in memory with one stream, written through the public API
// and read past it.
type place struct {
	registry *mem.Registry
	client   *persist.Client
	write    *persist.WriteHandle[[]byte, []byte]
	read     *persist.ReadHandle[[]byte, []byte]
}

const streamName = "straße/42" // names are any text

func newPlace(t require.TestingT, cfg persist.Config) *place {
	ctx := context.Background()
	p := &place{registry: mem.NewRegistry()}
	var err error
	p.client, err = p.registry.Runtime(ctx, cfg)
	require.NoError(t, err)
	p.write, p.read, err = persist.CreateOrLoad(ctx, p.client, streamName, codec.Bytes, codec.Bytes)
	require.NoError(t, err)
	return p
}

func (p *place) add(t require.TestingT, updates ...update) {
	ctx := context.Background()
	_, err := p.write.Write(ctx, updates).Wait(ctx)
	require.NoError(t, err)
}

func (p *place) seal(t require.TestingT, upper uint64) {
	ctx := context.Background()
	_, err := p.write.Seal(ctx, upper).Wait(ctx)
	require.NoError(t, err)
}

func (p *place) finish(t require.TestingT) {
	ctx := context.Background()
	_, err := p.write.Finish(ctx).Wait(ctx)
	require.NoError(t, err)
}

func (p *place) allowCompaction(t require.TestingT, since uint64) {
	ctx := context.Background()
	_, err := p.write.AllowCompaction(ctx, frontier.At(since)).Wait(ctx)
	require.NoError(t, err)
}

// snapshot returns the contents of the stream as the library reads them.
func (p *place) snapshot(t require.TestingT) []row {
	ctx := context.Background()
	s, err := p.read.Snapshot(ctx)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	updates, err := s.ReadToEnd(ctx)
	require.NoError(t, err)
	rows := make([]row, len(updates))
	for i, u := range updates {
		rows[i] = row{Key: string(u.Key), Val: string(u.Val), Time: u.Time, Diff: u.Diff}
	}
	return rows
}

// batchFile is a batch as Arrow reads it.
type batchFile struct {
	trace bool
	parts []partFile
}

// batches does all maintenance that is due and reads every batch that is there.
func (p *place) batches(t require.TestingT) []batchFile {
	ctx := context.Background()
	require.NoError(t, p.client.Maintain(ctx))
	blobs := p.registry.Place().OpenBlobReader()
	defer func() { require.NoError(t, blobs.Close()) }()
	id, err := p.write.StreamID()
	require.NoError(t, err)

	var order []string
	parts := map[string][]partFile{}
	for info, err := range blobs.List(ctx, "batch/") {
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(info.Key, fmt.Sprintf("batch/%d/", uint64(id))), info.Key)
		require.True(t, strings.HasSuffix(info.Key, ".parquet"), info.Key)
		data, _, err := blobs.Get(ctx, info.Key)
		require.NoError(t, err)
		part := readPartFile(t, info.Key, data)
		batch := part.metadata["tidemark.batch"]
		if parts[batch] == nil {
			order = append(order, batch)
		}
		parts[batch] = append(parts[batch], part)
	}
	batches := make([]batchFile, len(order))
	for i, batch := range order {
		batches[i] = newBatchFile(t, batch, parts[batch])
	}
	return batches
}

// newBatchFile puts the parts of a batch in order and checks what is said of them.
func newBatchFile(t require.TestingT, name string, parts []partFile) batchFile {
	b := batchFile{parts: make([]partFile, len(parts))}
	for _, p := range parts {
		require.Equal(t, "1", p.metadata["tidemark.version"])
		require.Equal(t, streamName, p.metadata["tidemark.stream"])
		index, err := strconv.Atoi(p.metadata["tidemark.part"])
		require.NoError(t, err)
		require.Less(t, index, len(parts), "%s: a part is missing", name)
		require.Empty(t, b.parts[index].blob, "%s: part %d is there twice", name, index)
		b.parts[index] = p
	}
	for i := range b.parts[1:] {
		last, first := b.parts[i].rows[len(b.parts[i].rows)-1], b.parts[i+1].rows[0]
		require.Negative(t, compareRows(last, first), "%s: parts %d and %d overlap", name, i, i+1)
	}
	kind, _, _ := strings.Cut(name, " ")
	require.Contains(t, []string{"trace", "unsealed"}, kind, "what is a %q?", name)
	b.trace = kind == "trace"
	return b
}

// contents adds all batches up by the rule that README.md gives to other programs:
// unsealed batches count from the upper on, up to which the trace is complete.
func contents(batches []batchFile, upper frontier.Antichain) []row {
	sums := map[row]int64{}
	for _, b := range batches {
		for _, p := range b.parts {
			for _, r := range p.rows {
				if b.trace || upper.Admits(r.Time) {
					sums[row{Key: r.Key, Val: r.Val, Time: r.Time}] += r.Diff
				}
			}
		}
	}
	rows := []row{}
	for r, d := range sums {
		if d != 0 {
			rows = append(rows, row{r.Key, r.Val, r.Time, d})
		}
	}
	slices.SortFunc(rows, compareRows)
	return rows
}

// requireSameContents checks that the files hold what the library reads.
func (p *place) requireSameContents(t require.TestingT) []batchFile {
	want := p.snapshot(t)
	batches := p.batches(t)
	d, err := p.client.Description(context.Background(), streamName)
	require.NoError(t, err)
	got := contents(batches, d.Upper)
	require.Len(t, got, len(want))
	for i := range want {
		require.Equal(t, want[i], got[i], "row %d", i)
	}
	return batches
}

func (p *place) stop(t require.TestingT) { require.NoError(t, p.client.Stop()) }

// TestContents writes what a Parquet writer may get wrong.
func TestContents(t *testing.T) {
	seq := func(n int, u func(i int) update) (updates []update) {
		for i := range n {
			updates = append(updates, u(i))
		}
		return updates
	}
	random := rand.NewChaCha8([32]byte{7})
	noise := func(n int) []byte {
		b := make([]byte, n)
		_, _ = random.Read(b)
		return b
	}
	ones := func(n int) []byte { return bytes.Repeat([]byte{0xff}, n) }
	for _, test := range []struct {
		name    string
		updates []update
	}{
		{"one update", []update{{Key: []byte("k"), Val: []byte("v"), Time: 1, Diff: 1}}},
		{"empty keys", seq(100, func(i int) update { return update{Val: fmt.Appendf(nil, "%d", i), Time: uint64(i), Diff: 1} })},
		{"empty values", seq(100, func(i int) update { return update{Key: fmt.Appendf(nil, "%d", i), Time: uint64(i), Diff: 1} })},
		{"empty keys and values", seq(100, func(i int) update { return update{Time: uint64(i), Diff: int64(i) + 1} })},
		{"extreme times and diffs", []update{
			{Key: []byte("a"), Time: math.MaxUint64, Diff: -math.MaxInt64},
			{Key: []byte("a"), Time: math.MaxUint64, Diff: -1}, // together math.MinInt64
			{Key: []byte("a"), Time: math.MaxUint64 - 1, Diff: math.MaxInt64},
			{Key: []byte("a"), Time: 0, Diff: -1},
			{Key: []byte("a"), Time: math.MaxInt64, Diff: 1},
			{Key: []byte("a"), Time: math.MaxInt64 + 1, Diff: -2},
		}},
		{"times that need unsigned order alone", []update{
			{Key: []byte("a"), Time: 5, Diff: -5}, {Key: []byte("b"), Time: 1 << 63, Diff: -7},
		}},
		{"bytes that need unsigned order", []update{
			{Key: []byte{0x7f}, Val: []byte{0x80}, Time: 1, Diff: 1}, {Key: []byte{0x80}, Val: []byte{0x7f}, Time: 1, Diff: 1},
			{Key: []byte{0xff}, Val: []byte{0x00}, Time: 1, Diff: 1}, {Key: []byte{0x00}, Val: []byte{0xff}, Time: 1, Diff: 1},
			{Key: []byte{0x00, 0x00}, Time: 1, Diff: 1}, {Key: []byte{}, Val: []byte{0x00}, Time: 1, Diff: 1},
		}},
		{"long prefixes that differ late", seq(100, func(i int) update {
			return update{Key: append(bytes.Repeat([]byte("p"), 300), byte(i)), Val: append(bytes.Repeat([]byte{0xfe}, 300), byte(i)), Time: 1, Diff: 1}
		})},
		{"long values of ones", []update{
			{Key: ones(15), Val: ones(400), Time: 1, Diff: 1}, {Key: ones(16), Val: ones(16), Time: 1, Diff: 1},
			{Key: ones(17), Val: ones(17), Time: 1, Diff: 1}, {Key: ones(400), Val: nil, Time: 1, Diff: 1},
		}},
		{"big values", []update{
			{Key: []byte("a"), Val: noise(5 << 20), Time: 1, Diff: 1},
			{Key: []byte("b"), Val: make([]byte, 5<<20), Time: 1, Diff: 1},
			{Key: []byte("c"), Val: []byte("small"), Time: 1, Diff: 1},
		}},
		{"big keys", []update{
			{Key: noise(2 << 20), Val: []byte("1"), Time: 1, Diff: 1}, {Key: noise(2 << 20), Val: []byte("2"), Time: 1, Diff: 1},
		}},
		{"many pages", seq(40_000, func(i int) update {
			return update{Key: binary.BigEndian.AppendUint64(noise(8), uint64(i)), Val: noise(i % 40), Time: random.Uint64(), Diff: int64(random.Uint64() | 1)}
		})},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPlace(t, persist.Config{})
			defer p.stop(t)
			p.add(t, test.updates...)

			unsealed := p.requireSameContents(t)
			require.Len(t, unsealed, 1)
			require.False(t, unsealed[0].trace)

			p.finish(t)
			trace := p.requireSameContents(t)
			require.Len(t, trace, 1)
			require.True(t, trace[0].trace)
			if test.name == "many pages" {
				require.Greater(t, trace[0].parts[0].pages, 1)
			}
		})
	}
}

// TestSizeFollowsContents holds overhead down: a file is not much larger than
// what is in it, also where values are large.
func TestSizeFollowsContents(t *testing.T) {
	random := rand.NewChaCha8([32]byte{8})
	for _, size := range []int{10, 1000, 30_000, 300_000} {
		t.Run(fmt.Sprintf("values of %d bytes", size), func(t *testing.T) {
			p := newPlace(t, persist.Config{})
			defer p.stop(t)
			total := 0
			for i := range max(10, 100_000/size) {
				v := make([]byte, size)
				_, _ = random.Read(v)
				p.add(t, update{Key: fmt.Appendf(nil, "key-%05d", i), Val: v, Time: uint64(i), Diff: 1})
				total += len("key-00000") + size + 8 + 8
			}
			p.finish(t)
			p.requireSameContents(t)
			stored := 0
			blobs := p.registry.Place().OpenBlobReader()
			for info, err := range blobs.List(t.Context(), "batch/") {
				require.NoError(t, err)
				stored += int(info.Size)
			}
			require.NoError(t, blobs.Close())
			// The footer holds the least and the greatest value, once each, unless they are large.
			require.Less(t, stored, total*11/10+2*min(size, 4096)+4096)
		})
	}
}

// TestParts writes batches of many parts.
func TestParts(t *testing.T) {
	p := newPlace(t, persist.Config{PartBytes: 4 << 10})
	defer p.stop(t)
	random := rand.New(rand.NewPCG(1, 2))
	for range 10 {
		var updates []update
		for range 300 {
			updates = append(updates, update{
				Key: fmt.Appendf(nil, "key-%03d", random.IntN(500)), Val: fmt.Appendf(nil, "value %d", random.IntN(3)),
				Time: random.Uint64N(100), Diff: random.Int64N(5) - 2,
			})
		}
		p.add(t, updates...)
	}
	p.seal(t, 100)
	batches := p.requireSameContents(t)
	require.Len(t, batches, 1)
	require.Greater(t, len(batches[0].parts), 10)
}

// TestUnsealedBesideTrace has an unsealed batch that holds what is in the trace
// already: that must not count twice.
func TestUnsealedBesideTrace(t *testing.T) {
	p := newPlace(t, persist.Config{})
	defer p.stop(t)
	for i := range 10 {
		p.add(t, update{Key: []byte("k"), Val: fmt.Appendf(nil, "%d", i), Time: uint64(i), Diff: 1})
	}
	p.requireSameContents(t)
	p.seal(t, 3) // of ten: a batch of which more has been moved is written anew without that
	batches := p.requireSameContents(t)
	kinds := map[bool]int{}
	for _, b := range batches {
		for _, part := range b.parts {
			kinds[b.trace] += len(part.rows)
		}
	}
	require.Equal(t, map[bool]int{true: 3, false: 10}, kinds, "trace and unsealed rows: this test is about an overlap")
}

// TestBatchHistories checks the files after any history of a stream.
func TestBatchHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPlace(t, persist.Config{PartBytes: rapid.SampledFrom([]int{200, 8 << 20}).Draw(t, "part bytes")})
		defer p.stop(t)
		upper, since := uint64(0), uint64(0)
		bytesUpTo := func(n int) *rapid.Generator[[]byte] { return rapid.SliceOfN(rapid.Byte(), 0, n) }
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				var updates []update
				for range rapid.IntRange(1, 30).Draw(t, "updates") {
					updates = append(updates, update{
						Key: bytesUpTo(2).Draw(t, "key"), Val: bytesUpTo(1).Draw(t, "val"),
						Time: upper + rapid.Uint64Range(0, 20).Draw(t, "time"), Diff: rapid.Int64Range(-2, 2).Draw(t, "diff"),
					})
				}
				p.add(t, updates...)
			},
			"seal": func(t *rapid.T) {
				upper += rapid.Uint64Range(0, 10).Draw(t, "by")
				p.seal(t, upper)
			},
			"allow compaction": func(t *rapid.T) {
				since += rapid.Uint64Range(0, 10).Draw(t, "by")
				p.allowCompaction(t, since)
			},
			"read": func(t *rapid.T) { p.requireFolded(t, since) },
		})
		p.requireFolded(t, since)
	})
}

// requireFolded is requireSameContents up to times before the since, which files
// may still tell apart where snapshots no longer do.
func (p *place) requireFolded(t require.TestingT, since uint64) {
	want := p.snapshot(t)
	d, err := p.client.Description(context.Background(), streamName)
	require.NoError(t, err)
	sums := map[row]int64{}
	for _, r := range contents(p.batches(t), d.Upper) {
		sums[row{Key: r.Key, Val: r.Val, Time: max(r.Time, since)}] += r.Diff
	}
	got := []row{}
	for r, diff := range sums {
		if diff != 0 {
			got = append(got, row{r.Key, r.Val, r.Time, diff})
		}
	}
	slices.SortFunc(got, compareRows)
	require.Equal(t, want, got)
}
