package mem_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/storage"
)

var (
	alice = storage.LockInfo{Owner: "alice", Details: "first"}
	bob   = storage.LockInfo{Owner: "bob"}
)

// text returns entries for a log.
func text(entries ...string) [][]byte {
	data := make([][]byte, len(entries))
	for i := range entries {
		data[i] = []byte(entries[i])
	}
	return data
}

func openLog(t require.TestingT, p *mem.Place, lock storage.LockInfo) *mem.Log {
	log, err := p.OpenLog(lock)
	require.NoError(t, err)
	return log
}

func openBlob(t require.TestingT, p *mem.Place, lock storage.LockInfo) *mem.Blob {
	blob, err := p.OpenBlob(lock)
	require.NoError(t, err)
	return blob
}

// entries returns the data of a log's entries as text.
func entries(t require.TestingT, log storage.LogReader, after storage.SeqNo) []string {
	var all []string
	for entry, err := range log.Read(context.Background(), after) {
		require.NoError(t, err)
		all = append(all, string(entry.Data))
	}
	return all
}

// contents returns the entries of a place's log, whoever has it open.
func contents(t require.TestingT, p *mem.Place) []string {
	reader := p.OpenLogReader()
	defer reader.Close()
	return entries(t, reader, 0)
}

// value returns a blob of a place, "" if it is absent.
func value(t require.TestingT, p *mem.Place, key string) string {
	reader := p.OpenBlobReader()
	defer reader.Close()
	data, _, err := reader.Get(context.Background(), key)
	if err != nil {
		require.ErrorIs(t, err, storage.ErrNotFound)
	}
	return string(data)
}

func TestLogAndBlobsShareOneLock(t *testing.T) {
	p := mem.NewPlace("orders")
	require.Equal(t, "orders", p.Name())
	log := openLog(t, p, alice)
	refused := func() {
		t.Helper()
		_, logErr := p.OpenLog(bob)
		_, blobErr := p.OpenBlob(bob)
		for _, err := range []error{logErr, blobErr} {
			var locked *storage.LockedError
			require.ErrorAs(t, err, &locked)
			require.Equal(t, storage.LockedError{Location: "orders", Holder: alice}, *locked)
		}
	}
	refused()
	blob := openBlob(t, p, alice)
	refused()
	require.NoError(t, log.Close())
	refused()
	require.NoError(t, blob.Close())
	blob = openBlob(t, p, bob)
	require.NoError(t, log.Close())
	_, err := blob.Set(t.Context(), "a", nil)
	require.NoError(t, err)
}

// Opening the log again must not fence the blobs, nor the other way round: a
// runtime that starts opens both, one after the other.
func TestLogAndBlobsAreFencedOneByOne(t *testing.T) {
	p := mem.NewPlace("orders")
	oldLog, oldBlob := openLog(t, p, alice), openBlob(t, p, alice)
	log := openLog(t, p, alice)
	_, err := oldLog.Append(t.Context(), 0, text("x"))
	require.ErrorIs(t, err, storage.ErrClosed)
	require.ErrorContains(t, err, "taken over by a newer handle")
	require.NoError(t, oldLog.Close())
	_, err = oldLog.Bounds(t.Context())
	require.ErrorContains(t, err, "taken over by a newer handle", "what ended the handle, not what came later")
	_, err = oldBlob.Set(t.Context(), "a", []byte("old"))
	require.NoError(t, err)
	openBlob(t, p, alice)
	_, err = oldBlob.Set(t.Context(), "a", []byte("x"))
	require.ErrorIs(t, err, storage.ErrClosed)
	_, err = log.Append(t.Context(), 0, text("new"))
	require.NoError(t, err)
	require.Equal(t, "old", value(t, p, "a"))
}

func TestWithGaps(t *testing.T) {
	positions := func(options ...mem.PlaceOption) []storage.SeqNo {
		log := openLog(t, mem.NewPlace("orders", options...), alice)
		first, err := log.Append(t.Context(), 0, text("a", "b", "c", "d", "e", "f"))
		require.NoError(t, err)
		return first
	}
	dense := []storage.SeqNo{1, 2, 3, 4, 5, 6}
	require.Equal(t, dense, positions())
	require.NotEqual(t, dense, positions(mem.WithGaps(1)))
	require.Equal(t, positions(mem.WithGaps(1)), positions(mem.WithGaps(1)))
	require.NotEqual(t, positions(mem.WithGaps(1)), positions(mem.WithGaps(2)))
}

// Every hold counts, and what was truncated meanwhile goes with the last one.
func TestHoldsOfSeveralReaders(t *testing.T) {
	p := mem.NewPlace("orders")
	log := openLog(t, p, alice)
	positions, err := log.Append(t.Context(), 0, text("a", "b", "c", "d"))
	require.NoError(t, err)
	one, two := p.OpenLogReader(), p.OpenLogReader()
	one.Hold(context.Background(), positions[0])
	two.Hold(context.Background(), positions[1])
	require.NoError(t, log.Truncate(t.Context(), positions[2]))
	require.Equal(t, []string{"b", "c", "d"}, entries(t, one, positions[0]))
	one.Hold(context.Background(), positions[3])
	one.Hold(context.Background(), 0) // a hold never goes back
	require.Equal(t, []string{"c", "d"}, entries(t, two, positions[1]))
	bounds, err := log.Bounds(t.Context())
	require.NoError(t, err)
	require.Equal(t, storage.Bounds{After: positions[1], Last: positions[3]}, bounds)
	require.NoError(t, two.Close())
	bounds, err = log.Bounds(t.Context())
	require.NoError(t, err)
	require.Equal(t, storage.Bounds{After: positions[2], Last: positions[3]}, bounds)

	two.Hold(context.Background(), 0) // closed: it holds nothing any more
	require.NoError(t, log.Truncate(t.Context(), positions[3]))
	bounds, err = log.Bounds(t.Context())
	require.NoError(t, err)
	require.Equal(t, storage.Bounds{After: positions[3], Last: positions[3]}, bounds)
}

// A truncation into a gap removes what is before the gap and says no more.
func TestTruncateIntoAGap(t *testing.T) {
	for seed := range uint64(20) {
		log := openLog(t, mem.NewPlace("orders", mem.WithGaps(seed)), alice)
		positions, err := log.Append(t.Context(), 0, text("a", "b", "c"))
		require.NoError(t, err)
		require.NoError(t, log.Truncate(t.Context(), positions[2]-1))
		bounds, err := log.Bounds(t.Context())
		require.NoError(t, err)
		require.Equal(t, storage.Bounds{After: positions[1], Last: positions[2]}, bounds)
		require.Equal(t, []string{"c"}, entries(t, log, positions[1]))
	}
}

func TestPinKeepsContentsThatAreReplaced(t *testing.T) {
	p := mem.NewPlace("orders")
	blob, reader := openBlob(t, p, alice), p.OpenBlobReader()
	get := func() string {
		data, _, err := reader.Get(t.Context(), "a")
		require.NoError(t, err)
		return string(data)
	}
	var releases []func()
	for _, contents := range []string{"first", "second", "third"} {
		_, err := blob.Set(t.Context(), "a", []byte(contents))
		require.NoError(t, err)
		if contents != "third" {
			release, err := reader.Pin(t.Context(), "a")
			require.NoError(t, err)
			releases = append(releases, release)
		}
	}
	require.Equal(t, "second", get(), "the newest pin")
	releases[1]()
	require.Equal(t, "first", get())
	releases[0]()
	require.Equal(t, "third", get())
}
