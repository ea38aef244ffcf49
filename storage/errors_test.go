package storage_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tidemark-go/tidemark/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Each error keeps its words, and matches its sentinel and its cause through
// whatever is wrapped around it.
func TestErrorsMatch(t *testing.T) {
	holder := storage.LockInfo{Owner: "importer", Details: "pid 17"}
	for _, test := range []struct {
		err     error
		text    string
		matches []error
	}{
		{storage.NoEffect(io.ErrShortWrite), "short write", []error{storage.ErrNoEffect, io.ErrShortWrite}},
		{
			storage.NoEffect(fmt.Errorf("set a: %w", storage.ErrClosed)), "set a: storage: closed",
			[]error{storage.ErrNoEffect, storage.ErrClosed},
		},
		{
			&storage.CorruptError{Where: "log/1", Offset: 7, Err: io.ErrUnexpectedEOF},
			"storage: corrupt data in log/1 at offset 7: unexpected EOF",
			[]error{storage.ErrCorrupt, io.ErrUnexpectedEOF},
		},
		{
			storage.Corruptf("batch-1", 0, "checksum %x: %w", 255, io.ErrNoProgress),
			"storage: corrupt data in batch-1 at offset 0: checksum ff: " + io.ErrNoProgress.Error(),
			[]error{storage.ErrCorrupt, io.ErrNoProgress},
		},
		{
			storage.Corruptf("batch-1", -1, "empty"), "storage: corrupt data in batch-1: empty",
			[]error{storage.ErrCorrupt},
		},
		{
			&storage.LockedError{Location: "orders.db", Holder: holder},
			`storage: location "orders.db" is locked by importer pid 17: stop it, or open another location`,
			[]error{storage.ErrLocked},
		},
		{
			&storage.LockedError{Location: "a\nb", Holder: storage.LockInfo{Details: "pid 17"}},
			`storage: location "a\nb" is locked by pid 17: stop it, or open another location`,
			[]error{storage.ErrLocked},
		},
		{
			&storage.LockedError{},
			`storage: location "" is locked by an unknown owner: stop it, or open another location`,
			[]error{storage.ErrLocked},
		},
	} {
		require.EqualError(t, test.err, test.text)
		wrapped := fmt.Errorf("open: %w", test.err)
		matches := map[error]bool{}
		for _, sentinel := range test.matches {
			require.ErrorIs(t, wrapped, sentinel)
			matches[sentinel] = true
		}
		for _, other := range []error{
			storage.ErrNotFound, storage.ErrConflict, storage.ErrTruncated, storage.ErrInvalidTruncation,
			storage.ErrInvalidRange, storage.ErrInvalidKey, storage.ErrTooLarge, storage.ErrClosed,
			storage.ErrLocked, storage.ErrCorrupt, storage.ErrNoEffect,
		} {
			require.Equal(t, matches[other], errors.Is(wrapped, other), "%v is %v", test.err, other)
		}
	}
}

func TestErrorsSayWhereAndWho(t *testing.T) {
	var corrupt *storage.CorruptError
	require.ErrorAs(t, fmt.Errorf("read: %w", storage.NoEffect(storage.Corruptf("log/1", 42, "bad"))), &corrupt)
	require.Equal(t, "log/1", corrupt.Where)
	require.EqualValues(t, 42, corrupt.Offset)

	var locked *storage.LockedError
	holder := storage.LockInfo{Owner: "importer", Details: "pid 17"}
	require.ErrorAs(t, fmt.Errorf("open: %w", &storage.LockedError{Location: "orders.db", Holder: holder}), &locked)
	require.Equal(t, holder, locked.Holder)
	require.Equal(t, "orders.db", locked.Location)
}

func TestNoEffectOfNothingIsNothing(t *testing.T) {
	require.NoError(t, storage.NoEffect(nil))
}

func TestSeqNoString(t *testing.T) {
	require.Equal(t, "0", storage.SeqNo(0).String())
	require.Equal(t, "18446744073709551615", (^storage.SeqNo(0)).String())
}
