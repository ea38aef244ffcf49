package persist_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// Decoded values are the reader's own: he may change and keep them, whatever memory they
// were read through. Rows that are not decoded are lent.
func TestValuesAreTheReaders(t *testing.T) {
	for name, cache := range map[string]int64{"through the cache": 0, "past the cache": 1} {
		t.Run(name, func(t *testing.T) {
			cfg := onDemand()
			cfg.PartBytes, cfg.CacheSizeLimit = 1000, cache
			c, err := mem.NewRegistry().Runtime(t.Context(), cfg)
			require.NoError(t, err)
			defer func() { require.NoError(t, c.Stop()) }()
			w, r, err := persist.CreateOrLoad(t.Context(), c, "s", codec.String, codec.Bytes)
			require.NoError(t, err)
			_, l, err := r.Listen(t.Context())
			require.NoError(t, err)
			defer l.Close()
			type updates = []persist.Update[string, []byte]
			want := map[string]string{}
			written := 0
			write := func(at uint64) {
				for range 10 {
					var us updates
					for range 100 {
						key, val := fmt.Sprintf("key-%04d", written), strings.Repeat(fmt.Sprint(written%10), written%50)
						us = append(us, persist.Update[string, []byte]{Key: key, Val: []byte(val), Time: at, Diff: 1})
						want[key] = val
						written++
					}
					must(t, w.Write(t.Context(), us))
				}
				must(t, w.Seal(t.Context(), at+1))
			}
			write(0)
			require.NoError(t, c.Maintain(t.Context()))
			write(1) // stays in the tail

			s, err := r.Snapshot(t.Context())
			require.NoError(t, err)
			defer s.Close()
			require.Equal(t, written, s.RowsBetween(frontier.At(0), frontier.Empty()))
			var all []updates
			read := func(add func() updates) {
				us := add()
				require.Len(t, us, written)
				for i := range us {
					require.Equal(t, len(us[i].Val), cap(us[i].Val))
				}
				all = append(all, us)
			}
			for range 2 {
				read(func() (us updates) {
					for u, err := range s.All(t.Context()) {
						require.NoError(t, err)
						us = append(us, u)
					}
					return us
				})
				read(func() updates {
					us, err := s.ReadToEnd(t.Context())
					require.NoError(t, err)
					return us
				})
			}
			read(func() (us updates) {
				for len(us) < written {
					e, err := l.Next(t.Context())
					require.NoError(t, err)
					us = append(us, e.Updates...)
				}
				return us
			})
			for _, us := range all {
				for i := range us {
					require.Equal(t, want[us[i].Key], string(us[i].Val))
					for j := range us[i].Val {
						us[i].Val[j] = '!'
					}
					_ = append(us[i].Val, "and more"...)
				}
			}
			rows := 0
			for row, err := range s.Raw(t.Context()) {
				require.NoError(t, err)
				require.Equal(t, want[string(row.Key)], string(row.Val))
				require.Equal(t, int64(1), row.Diff)
				rows++
			}
			require.Equal(t, written, rows)
			for _, us := range all {
				for i := range us {
					require.Equal(t, len(us[i].Val), bytes.Count(us[i].Val, []byte("!")))
				}
			}
		})
	}
}

// Listeners share the bytes of strings that small commands wrote, and no others: of a large
// command one value would keep all bytes, and what can be changed is one's own.
func TestListenersShareSmallStrings(t *testing.T) {
	c, err := mem.NewRegistry().Runtime(t.Context(), onDemand())
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Stop()) }()
	w, r, err := persist.CreateOrLoad(t.Context(), c, "s", codec.String, codec.Bytes)
	require.NoError(t, err)
	var listeners [2]*persist.Listener[string, []byte]
	for i := range listeners {
		_, l, err := r.Listen(t.Context())
		require.NoError(t, err)
		defer l.Close()
		listeners[i] = l
	}
	for _, size := range []int{10, 10_000} {
		key, val := strings.Repeat("k", size), bytes.Repeat([]byte("v"), size)
		must(t, w.Write(t.Context(), []persist.Update[string, []byte]{{Key: key, Val: val, Diff: 1}}))
		var heard [2]persist.Update[string, []byte]
		for i, l := range listeners {
			e, err := l.Next(t.Context())
			require.NoError(t, err)
			heard[i] = e.Updates[0]
			require.Equal(t, key, heard[i].Key)
			require.Equal(t, val, heard[i].Val)
		}
		require.Equal(t, size == 10, unsafe.StringData(heard[0].Key) == unsafe.StringData(heard[1].Key))
		require.NotSame(t, &heard[0].Val[0], &heard[1].Val[0])
	}
}
