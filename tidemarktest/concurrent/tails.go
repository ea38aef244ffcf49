package concurrent

import (
	"context"
	"fmt"

	"github.com/tidemark-go/tidemark/persist"
)

// Encoded returns updates as a history has them: with keys and values encoded.
//
// Errors: those of persist.EncodeRow.
func Encoded[K, V any](kc persist.Codec[K], vc persist.Codec[V], updates []persist.Update[K, V]) ([]Update, error) {
	encoded := make([]Update, len(updates))
	var scratch []byte
	for i := range updates {
		row, next, err := persist.EncodeRow(scratch[:0], kc, vc, &updates[i])
		if err != nil {
			return nil, fmt.Errorf("concurrent: update %d: %w", i, err)
		}
		scratch = next
		encoded[i] = stored(row)
	}
	return encoded, nil
}

func stored(row persist.Row) Update {
	return Update{Key: string(row.Key), Val: string(row.Val), Time: row.Time, Diff: row.Diff}
}

// RecordTail takes a snapshot of a stream and listens to what comes after it. It ends when
// enough returns true, when the listener ends, or with the context. tick returns the next
// tick. RecordTail calls both functions in its caller's goroutine. Several tails may be
// recorded at once.
//
// Errors: those of ReadHandle.Listen and of reading the snapshot. The end of the listener
// is no error: the tail's Ended has it. After the end of the context, Ended
// is nil.
func RecordTail[K, V any](ctx context.Context, read *persist.ReadHandle[K, V], tick func() int64, enough func(Event) bool) (Tail, error) {
	t := Tail{Start: Read{Stream: read.StreamName(), Reader: "of " + read.StreamName(), Call: tick()}}
	s, l, err := read.Listen(ctx)
	t.Start.Return = tick()
	if err != nil {
		return t, err
	}
	defer func() { _, _ = s.Close(), l.Close() }()
	t.Start.SeqNo, t.Start.Upper, t.Start.Since = s.SeqNo(), s.Upper(), s.Since()
	for row, err := range s.Raw(ctx) {
		if err != nil {
			return t, err
		}
		t.Start.Updates = append(t.Start.Updates, stored(row))
	}
	for {
		t.Asked = tick()
		heard, err := l.NextRaw(ctx)
		if err != nil {
			if ctx.Err() == nil {
				t.Ended = err
			}
			return t, nil
		}
		e := Event{SeqNo: heard.SeqNo, Sealed: heard.Sealed, Asked: t.Asked, Heard: tick()}
		if heard.Rows != nil {
			for row := range heard.Rows {
				e.Updates = append(e.Updates, stored(row))
			}
		}
		t.Events = append(t.Events, e)
		if enough(e) {
			return t, nil
		}
	}
}
