package persist_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// An update that cannot be decoded is named by its key, of which the error has no more than
// it takes to find it; and by what of it was at fault.
func TestDecodeErrorsNameTheKey(t *testing.T) {
	refused := errors.New("refused")
	picky := codec.Func("bytes",
		func(dst []byte, v []byte) ([]byte, error) { return append(dst, v...), nil },
		func(src []byte) ([]byte, error) {
			if strings.HasPrefix(string(src), "bad") {
				return nil, refused
			}
			return append([]byte{}, src...), nil
		})
	long := "bad" + strings.Repeat("x", 1<<20)
	for name, tt := range map[string]struct {
		key, val string
		part     string
		says     string
	}{
		"value":         {"oslo", "bad", "value", `the value of update of key "oslo" at time 3 with diff 2: `},
		"key":           {"bad\x00\n", "1", "key", `the key of update of key "bad\x00\n" at time 3 with diff 2: `},
		"both":          {"bad", "bad", "key", `the key of update of key "bad" at`},
		"an empty key":  {"", "bad", "value", `the value of update of key "" at`},
		"a large key":   {long, "1", "key", `the key of update of key "` + long[:64] + `"... (1048579 bytes) at`},
		"a large value": {"oslo", long, "value", `the value of update of key "oslo" at`},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			c, err := mem.NewRegistry().Runtime(ctx, persist.Config{})
			require.NoError(t, err)
			defer func() { require.NoError(t, c.Stop()) }()
			w, _, err := persist.CreateOrLoad(ctx, c, "weather", codec.Bytes, codec.Bytes)
			require.NoError(t, err)
			_, r, err := persist.CreateOrLoad(ctx, c, "weather", picky, picky)
			require.NoError(t, err)
			_, listener, err := r.Listen(ctx)
			require.NoError(t, err)
			defer listener.Close()
			_, err = w.Write(ctx, []persist.Update[[]byte, []byte]{{Key: []byte(tt.key), Val: []byte(tt.val), Time: 3, Diff: 2}}).Wait(ctx)
			require.NoError(t, err)
			s, err := r.Snapshot(ctx)
			require.NoError(t, err)
			defer s.Close()

			_, listened := listener.Next(ctx)
			errs := map[string]error{"listener": listened}
			for _, errs["snapshot"] = range s.All(ctx) {
			}
			_, errs["sorted"] = s.ReadToEnd(ctx)
			for row, err := range s.Raw(ctx) {
				require.NoError(t, err)
				_, errs["raw"] = r.Decoder().Decode(row)
			}
			for where, err := range errs {
				require.ErrorIs(t, err, persist.ErrDecode, where)
				require.ErrorIs(t, err, refused, where)
				require.ErrorContains(t, err, `stream "weather": cannot decode `+tt.says, where)
				require.Less(t, len(err.Error()), 500, where)
				var decode *persist.DecodeError
				require.ErrorAs(t, err, &decode)
				decode.Err = nil
				require.Equal(t, persist.DecodeError{
					Stream: "weather", Key: []byte(tt.key)[:min(64, len(tt.key))], KeyBytes: len(tt.key), Part: tt.part, Time: 3, Diff: 2,
				}, *decode, fmt.Sprint(where))
			}
		})
	}
}
