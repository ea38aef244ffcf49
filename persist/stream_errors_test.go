package persist_test

import (
	"iter"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// Whatever call an error about a stream comes from, errors.As finds it as the type that this
// package documents, with its kind and the name of the stream.
func TestStreamErrorsOfEveryCall(t *testing.T) {
	ctx := t.Context()
	place := memPlace{mem.NewRegistry()}
	c := start(t, place, onDemand())
	w, r := create(t, c, "s")
	must(t, w.Seal(ctx, 5))
	must(t, w.AllowCompaction(ctx, frontier.At(3)))
	gone, goneReader := create(t, c, "gone")
	_, listener := listen(t, goneReader)
	_, err := c.Destroy(ctx, "gone")
	require.NoError(t, err)
	reader := startRead(t, place, onDemand())
	overflow, overflown := create(t, c, "overflow")
	for range 2 {
		must(t, overflow.Write(ctx, []update{up("a", "", 6, math.MaxInt64)}))
	}

	check := func(what string, err, kind error, stream string) {
		t.Helper()
		var found *persist.StreamError
		require.ErrorAs(t, err, &found, what)
		require.Equal(t, kind, found.Kind, what)
		require.Equal(t, stream, found.Stream, what)
		require.ErrorIs(t, err, kind, what)
	}
	check("seal", refused(t, w.Seal(ctx, 1)), persist.ErrSealRegression, "s")
	check("write", refused(t, w.Write(ctx, []update{up("a", "", 1, 1)})), persist.ErrSealed, "s")
	check("write of a destroyed stream", refused(t, gone.Write(ctx, nil)), persist.ErrDestroyed, "gone")
	_, _, err = persist.CreateOrLoad(ctx, c, "s", codec.Bytes, codec.String)
	check("CreateOrLoad", err, persist.ErrCodecMismatch, "s")
	bad, _, err := persist.CreateOrLoad(ctx, c, "gone", codec.String, codec.String)
	check("CreateOrLoad of a destroyed stream", err, persist.ErrDestroyed, "gone")
	check("its handle", bad.Err(), persist.ErrDestroyed, "gone")
	_, err = persist.Load(ctx, reader, "s", codec.Bytes, codec.String)
	check("Load", err, persist.ErrCodecMismatch, "s")
	_, err = c.Description(ctx, "nobody")
	check("Description", err, persist.ErrUnknownStream, "nobody")
	_, err = reader.Description(ctx, "nobody")
	check("Description of a follower", err, persist.ErrUnknownStream, "nobody")
	_, err = gone.Description(ctx)
	check("Description of a handle", err, persist.ErrDestroyed, "gone")
	_, err = c.Destroy(ctx, "nobody")
	check("Destroy", err, persist.ErrUnknownStream, "nobody")
	_, err = goneReader.Snapshot(ctx)
	check("Snapshot", err, persist.ErrDestroyed, "gone")
	_, _, err = goneReader.Listen(ctx)
	check("Listen", err, persist.ErrDestroyed, "gone")
	_, err = listener.Next(ctx)
	check("Next", err, persist.ErrDestroyed, "gone")
	snapshot := take(t, r)
	check("AsOf", last(snapshot.AsOf(ctx, 1)), persist.ErrAsOfBeforeSince, "s")
	check("Between", last(snapshot.Between(ctx, frontier.At(1), frontier.At(2))), persist.ErrAsOfBeforeSince, "s")
	check("RawAsOf", last(snapshot.RawAsOf(ctx, 1)), persist.ErrAsOfBeforeSince, "s")
	check("RawSorted", last(snapshot.RawSorted(ctx, frontier.At(1), frontier.At(2))), persist.ErrAsOfBeforeSince, "s")
	check("Consolidated", last(take(t, overflown).Consolidated(ctx)), persist.ErrOverflow, "overflow")
	_, err = take(t, overflown).ReadToEnd(ctx)
	check("ReadToEnd", err, persist.ErrOverflow, "overflow")

	// Inside another error: the command before it in the chain has failed.
	var chain persist.Chain
	w.CompareAndAppendIn(ctx, &chain, nil, frontier.At(6), frontier.At(7))
	err = refused(t, w.CompareAndAppendIn(ctx, &chain, nil, frontier.At(5), frontier.At(8)))
	require.ErrorIs(t, err, persist.ErrPrevious)
	var mismatch *persist.UpperMismatchError
	require.ErrorAs(t, err, &mismatch)
	require.Equal(t, persist.UpperMismatchError{Stream: "s", Expected: frontier.At(6), Upper: frontier.At(5)}, *mismatch)
}

func last[T any](seq iter.Seq2[T, error]) (err error) {
	for _, err = range seq {
	}
	return err
}
