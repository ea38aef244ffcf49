package indexed_test

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
)

// A name that others could not read, or that is out of proportion, is refused where it
// would come to be; control characters are none of that.
func TestNamesAreRefused(t *testing.T) {
	f := newFixture(t, still())
	long := strings.Repeat("n", 1<<20)
	for text, names := range map[string][3]string{
		`stream name is "caf\xe9"`:                      {"caf\xe9", "k", "v"},
		`stream name is ""`:                             {"", "k", "v"},
		"(1048576 bytes): it must be valid UTF-8":       {long, "k", "v"},
		"of 1 to 1024 bytes, and it has 1025":           {long[:1025], "k", "v"},
		`name of the key codec is ""`:                   {"s", "", "v"},
		`name of the value codec is "\xff"`:             {"s", "k", "\xff"},
		"of 1 to 4096 bytes, and it has 4097: choose a": {"s", long[:4097], "v"},
	} {
		_, err := f.Register(f.ctx, names[0], names[1], names[2])
		require.ErrorIs(t, err, indexed.ErrInvalid, text)
		require.ErrorContains(t, err, text)
		require.Less(t, len(err.Error()), 1000)
	}
	for _, name := range []string{"n", long[:1024], "line\nbreak", "\x00", `"quoted"\`, strings.Repeat("é", 512), "�"} {
		_, err := f.Register(f.ctx, name, long[:4096], "v")
		require.NoError(t, err)
	}
	f.crash()
	requireGathered(t, f.Engine, 7)
}

// requireGathered gathers the metrics as a scrape does, and wants one upper for each stream.
func requireGathered(t *testing.T, c interface{ Collector() prometheus.Collector }, streams int) (labels []string) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c.Collector())
	families, err := registry.Gather()
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				require.True(t, utf8.ValidString(l.GetValue()), "%q", l.GetValue())
				require.LessOrEqual(t, len(l.GetValue()), 1024)
				if family.GetName() == "tidemark_stream_upper" {
					seen[l.GetValue()] = true
					labels = append(labels, l.GetValue())
				}
			}
		}
	}
	require.Len(t, seen, streams)
	return labels
}

// Streams of older versions, which took any name, work as before. Metrics and parts have a
// name of them that others can read, no two streams the same.
func TestOldNames(t *testing.T) {
	var logged bytes.Buffer
	cfg := still()
	cfg.Logger = slog.New(slog.NewTextHandler(&logged, nil))
	f := newFixture(t, cfg)
	long := strings.Repeat("n", 1<<20)
	names := []string{"caf\xe9", `caf\xe9#0`, long, long + "2", "\xff", "", "a\nb\xe9", long[:2000] + "\xff", `caf\xe9#0#`}
	for i, name := range names {
		id, err := f.RegisterAnyName(f.ctx, name, "k\xe9", "v")
		require.NoError(t, err)
		require.EqualValues(t, i, id)
	}
	check := func() {
		t.Helper()
		for i, name := range names {
			id, err := f.Register(f.ctx, name, "k\xe9", "v")
			require.NoError(t, err)
			require.EqualValues(t, i, id)
			require.Len(t, f.read(id), 1)
			_, l, err := f.Listen(f.ctx, id)
			require.NoError(t, err)
			defer l.Close()
		}
		labels := requireGathered(t, f.Engine, len(names))
		require.Contains(t, labels, `caf\xe9#0##`)
		require.Contains(t, labels, `caf\xe9#0`)
		requireGathered(t, f.follow(still()), len(names))
		infos, err := f.Streams(f.ctx)
		require.NoError(t, err)
		for i, info := range infos {
			require.Equal(t, names[i], info.Name)
		}
	}
	for i := range names {
		f.write(indexed.StreamID(i), up("x", 1))
		f.seal(indexed.StreamID(i), frontier.At(2))
	}
	f.crash()
	check()
	f.round(true)
	check()
	f.crash()
	check()
	for i, name := range names {
		f.Outage("somebody", indexed.StreamID(i), name, io.EOF).End(nil)
	}
	require.Contains(t, logged.String(), "n...#2")
	require.Less(t, logged.Len(), 16<<10)

	blobs := f.place.OpenBlobReader()
	defer blobs.Close()
	keys := f.batchKeys()
	require.Len(t, keys, len(names))
	for _, key := range keys {
		data, _, err := blobs.Get(f.ctx, key)
		require.NoError(t, err)
		require.Less(t, len(data), 4<<10)
		file, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
		require.NoError(t, err)
		for _, kv := range file.Metadata().KeyValueMetadata {
			require.True(t, utf8.ValidString(kv.Key+kv.Value), "%q", kv.Value)
		}
	}
}
