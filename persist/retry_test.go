package persist_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

// Each row of IsRetryable's table, as errors come: wrapped and joined.
func TestIsRetryable(t *testing.T) {
	full := storage.NoEffect(errors.New("disk full"))
	for _, row := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{errors.New("something"), false},
		{full, true},
		{fmt.Errorf("tidemark: the log did not take the command: %w", full), true},
		{fmt.Errorf("tidemark: %w: %w", persist.ErrPrevious, full), true},
		{fmt.Errorf("tidemark: %w: %w", persist.ErrPrevious, &persist.UpperMismatchError{}), false},
		{storage.NoEffect(context.DeadlineExceeded), true},
		{context.DeadlineExceeded, false},
		{context.Canceled, false},
		{storage.NoEffect(persist.ErrTooLarge), false},
		{storage.NoEffect(fmt.Errorf("%w: an earlier flush", storage.ErrFailed)), false},
		{errors.Join(persist.ErrStopped, full), false},
		{fmt.Errorf("%w: %w", persist.ErrOutcomeUnknown, full), false},
		{errors.Join(persist.ErrDestroyed, full), false},
		{errors.Join(persist.ErrUnknownStream, full), false},
		{errors.Join(persist.ErrReadOnly, full), false},
		{&persist.UpperMismatchError{}, false},
		{&persist.StreamError{Kind: persist.ErrSealed}, false},
		{persist.ErrInvalid, false},
		{&storage.LockedError{}, false},
		{&storage.CorruptError{}, false},
	} {
		require.Equal(t, row.want, persist.IsRetryable(row.err), "%v", row.err)
	}
}

// Every sentinel has a place: a new one must be added to the table and to finals. Beside one
// that waiting does not mend, nothing is retryable.
func TestFinalErrors(t *testing.T) {
	full := storage.NoEffect(errors.New("disk full"))
	for i, final := range persist.Finals {
		require.False(t, persist.IsRetryable(errors.Join(full, final)), "%v", final)
		require.Equal(t, i, slices.Index(persist.Finals, final), "%v is there twice", final)
	}
	sentinels := 0
	for _, file := range []string{"errors.go", "../indexed/errors.go", "../indexed/internal/part/encoder.go", "../storage/errors.go", "codec/codec.go"} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		n := len(regexp.MustCompile(`(?m)^\s*(var )?Err\w+ += errors\.New\(`).FindAll(text, -1))
		require.Positive(t, n, file)
		sentinels += n
	}
	require.Equal(t, sentinels, len(persist.Finals)+2, "the others are ErrNoEffect and ErrPrevious")
}

// A command that the log refused can be repeated on the same client, and one whose answer
// was lost cannot.
func TestRetriesOfCommands(t *testing.T) {
	c, faults, _ := unreliable(t, onDemand())
	w, _ := create(t, c, "s")
	faults.SetDown()
	err := refused(t, w.Write(t.Context(), twoUpdates))
	require.ErrorIs(t, err, persist.ErrNoEffect)
	require.True(t, persist.IsRetryable(err), "%v", err)
	_, _, err = persist.CreateOrLoad(t.Context(), c, "other", codec.String, codec.Unit)
	require.True(t, persist.IsRetryable(err), "%v", err)
	_, err = c.Destroy(t.Context(), "s")
	require.True(t, persist.IsRetryable(err), "%v", err)
	faults.SetUp()
	must(t, w.Write(t.Context(), twoUpdates))

	faults.Inject(mem.Fault{Op: mem.OpAppend, Outcome: mem.AnswerLost})
	err = refused(t, w.Write(t.Context(), twoUpdates))
	require.False(t, persist.IsRetryable(err), "%v", err)
	err = refused(t, w.Write(t.Context(), twoUpdates))
	require.ErrorIs(t, err, persist.ErrStopped)
	require.False(t, persist.IsRetryable(err), "%v", err)
}
