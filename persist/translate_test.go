package persist

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
)

// Wherever an error of the engine is in another one, it is found as that of this package,
// with all fields, and nothing else is lost: text, sentinels, and the errors beside it.
func TestTranslate(t *testing.T) {
	sealed := &indexed.StreamError{Stream: "s", Kind: indexed.ErrSealed, Detail: "at time 4"}
	mismatch := &indexed.UpperMismatchError{Stream: "s", Expected: frontier.At(1), Upper: frontier.At(2)}
	other := errors.New("other")
	for name, row := range map[string]struct {
		err      error
		sealed   bool
		mismatch bool
	}{
		"alone":            {sealed, true, false},
		"mismatch":         {mismatch, false, true},
		"wrapped":          {fmt.Errorf("write: %w", sealed), true, false},
		"wrapped mismatch": {fmt.Errorf("write: %w: %w", ErrPrevious, mismatch), false, true},
		"joined":           {errors.Join(other, nil, fmt.Errorf("write: %w", sealed)), true, false},
		"both":             {errors.Join(mismatch, sealed), true, true},
		"neither":          {fmt.Errorf("write: %w", other), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			err := translate(row.err)
			outer := translate(fmt.Errorf("once more: %w", translate(err)))
			require.Equal(t, row.err.Error(), err.Error())
			for _, err := range []error{err, outer} {
				var s *StreamError
				require.Equal(t, row.sealed, errors.As(err, &s))
				if row.sealed {
					require.Equal(t, StreamError{Stream: "s", Kind: ErrSealed, Detail: "at time 4"}, *s)
					require.Equal(t, sealed.Error(), s.Error())
				}
				var m *UpperMismatchError
				require.Equal(t, row.mismatch, errors.As(err, &m))
				if row.mismatch {
					require.Equal(t, UpperMismatchError{Stream: "s", Expected: frontier.At(1), Upper: frontier.At(2)}, *m)
					require.Equal(t, mismatch.Error(), m.Error())
				}
				for _, kind := range []error{ErrSealed, ErrUpperMismatch, ErrPrevious, other} {
					require.Equal(t, errors.Is(row.err, kind), errors.Is(err, kind), "%v", kind)
				}
			}
		})
	}
	require.NoError(t, translate(nil))
	require.Same(t, other, translate(other))
}
