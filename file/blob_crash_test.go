package file

import (
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/internal/proof"
)

// blobsKnown is what a client of blobs knows: the contents that it was told are
// there, and those that it was told of or has asked for.
type blobsKnown struct{ before, during map[string]string }

// blobWorkload sets, replaces and deletes blobs, one of them with a key so long
// that it needs directories of its own, in two sessions.
func blobWorkload(t *testing.T, m *disk.Disk) (keys []string) {
	long := strings.Repeat("Long/", 100)
	known := blobsKnown{map[string]string{}, map[string]string{}}
	say := func() { m.Mark(blobsKnown{maps.Clone(known.before), maps.Clone(known.during)}) }
	say()
	b := openMemBlob(t, m)
	set := func(key, value string) {
		known.during[key] = value
		say()
		_, err := b.Set(t.Context(), key, []byte(value))
		require.NoError(t, err)
		known.before[key] = value
		say()
	}
	remove := func(key string) {
		delete(known.during, key)
		say()
		require.NoError(t, b.Delete(t.Context(), key))
		delete(known.before, key)
		say()
	}
	set("a", strings.Repeat("1", 3000))
	set("b", "2")
	set("a", "3")
	set(long, "4")
	remove("b")
	require.NoError(t, b.Close())
	b = openMemBlob(t, m)
	require.Equal(t, known.before, contents(t, b))
	set(long, strings.Repeat("5", 700))
	set("a", strings.Repeat("6", 1500))
	remove(long)
	set("b", strings.Repeat("7", 5000))
	require.NoError(t, b.Close())
	b = openMemBlob(t, m)
	require.Equal(t, known.before, contents(t, b))
	require.NoError(t, b.Close())
	require.Empty(t, m.Names("%4cong"), "directories of long keys are swept")
	return []string{"a", "b", long}
}

// The power fails, or the process dies, after any operation: every blob has the
// contents of an acknowledged set or of the one that was under way.
func TestBlobCrashAtEveryOperation(t *testing.T) {
	var mu sync.Mutex
	seen, byKind := map[disk.State]bool{}, map[disk.Kind]int{}
	first := func(i disk.Image) bool {
		mu.Lock()
		defer mu.Unlock()
		if seen[i.State] {
			return false
		}
		seen[i.State] = true
		byKind[i.Kind]++
		return true
	}
	// The workload is always the same, and what is drawn from a seed is often what was
	// drawn from another one: each state is opened once.
	proof.Run(t, proof.Pick(1, 10, 100), func(t *testing.T, seed uint64) {
		m := disk.New()
		j := m.Record()
		keys := blobWorkload(t, m)
		m.End()
		for i := range j.Images(seed, nil) {
			if first(i) {
				i.OnFailure(t, func() { requireBlobs(t, i, keys) })
			}
		}
	})
	for _, k := range disk.Kinds() {
		require.NotZero(t, byKind[k], "no image: %s", k)
	}
	proof.Reached(t, 1, "crash images of blobs", len(seen))
}

func requireBlobs(t *testing.T, i disk.Image, keys []string) {
	know := i.Mark.(blobsKnown)
	for range 2 {
		b := openMemBlob(t, i.Disk)
		got := contents(t, b)
		for _, key := range keys {
			require.Contains(t, []string{know.before[key], know.during[key]}, got[key], "blob %.9q", key)
			delete(got, key)
		}
		require.Empty(t, got)
		names, err := i.Disk.List("/db/blob/tmp")
		require.NoError(t, err)
		require.Empty(t, names, "leftovers")
		now := contents(t, b)
		require.NoError(t, b.Close())
		// What was seen once after a crash must not go with the next one.
		i.Disk = i.Disk.Crash(nil, 0)
		b = openMemBlob(t, i.Disk)
		require.Equal(t, now, contents(t, b))
		require.NoError(t, b.Close())
	}
}
