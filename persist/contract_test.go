package persist_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// TestCodecsThatDoNotAppend: a codec that does not append to what it is handed would store
// other keys and values than those that were written. It is an error that names it,
// whatever the values are, and nothing is written.
func TestCodecsThatDoNotAppend(t *testing.T) {
	for name, appendTo := range map[string]func(dst []byte, v string) ([]byte, error){
		"ignores dst":         func(_ []byte, v string) ([]byte, error) { return []byte(v), nil },
		"begins at its start": func(dst []byte, v string) ([]byte, error) { return append(dst[:0], v...), nil },
		"cuts the end off":    func(dst []byte, v string) ([]byte, error) { return append(dst[:max(0, len(dst)-1)], v...), nil },
		"changes the end":     func(dst []byte, v string) ([]byte, error) { dst[max(0, len(dst)-1)]++; return append(dst, v...), nil },
		"escapes everything": func(dst []byte, v string) ([]byte, error) {
			return bytes.ReplaceAll(append(dst, v...), []byte("b"), []byte("bb")), nil
		},
		"returns nothing": func([]byte, string) ([]byte, error) { return nil, nil },
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, kinds[0].make(t), onDemand())
			bad := codec.Func("acme/bad", appendTo, func(src []byte) (string, error) { return string(src), nil })
			wk, r, err := persist.CreateOrLoad(t.Context(), c, "keys", bad, codec.String)
			require.NoError(t, err)
			wv, _, err := persist.CreateOrLoad(t.Context(), c, "vals", codec.String, bad)
			require.NoError(t, err)
			// Each of these begins with those before it: as if they had been appended.
			updates := []update{up("a", "a", 1, 1), up("ab", "ab", 1, 1), up("abab", "abab", 1, 1), up("", "", 1, 1)}
			for name, err := range map[string]error{
				"keys":   refused(t, wk.Write(t.Context(), updates)),
				"vals":   refused(t, wv.Write(t.Context(), updates)),
				"append": refused(t, wk.CompareAndAppend(t.Context(), updates, frontier.At(0), frontier.At(9))),
			} {
				require.ErrorIs(t, err, persist.ErrInvalid, name)
				require.ErrorContains(t, err, `codec "acme/bad"`, name)
				require.ErrorContains(t, err, "does not append", name)
			}
			s, err := r.Snapshot(t.Context())
			require.NoError(t, err)
			defer s.Close()
			for u, err := range s.All(t.Context()) {
				t.Fatalf("it has %v, %v", u, err)
			}
			// What is written after it is as it should be.
			w, good := create(t, c, "good")
			must(t, w.Write(t.Context(), updates))
			require.ElementsMatch(t, updates, contents(t, good))
		})
	}
}
