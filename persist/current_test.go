package persist_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
)

// Current is the contents as of the last complete time, wherever the updates are stored.
func TestCurrent(t *testing.T) {
	written := []update{
		up("b", "y", 1, 1), up("a", "x", 1, 2), up("a", "x", 2, -1), up("b", "y", 3, -1), up("b", "z", 3, 1),
		up("c", "", 9, 1), up("c", "", math.MaxUint64, 1),
	}
	all := []update{up("a", "x", math.MaxUint64, 1), up("b", "z", math.MaxUint64, 1), up("c", "", math.MaxUint64, 2)}
	empty := frontier.Empty()
	for name, tt := range map[string]struct {
		upper, since frontier.Antichain
		want         []update
		err          error
	}{
		"nothing is sealed":                   {},
		"nothing is sealed, with a since":     {since: frontier.At(7)},
		"nothing is sealed, and nobody reads": {since: empty},
		"nothing before the upper":            {upper: frontier.At(1)},
		"consolidated":                        {upper: frontier.At(3), want: []update{up("a", "x", 2, 1), up("b", "y", 2, 1)}},
		"sorted":                              {upper: frontier.At(4), want: []update{up("a", "x", 3, 1), up("b", "z", 3, 1)}},
		"since at it":                         {upper: frontier.At(4), since: frontier.At(3), want: []update{up("a", "x", 3, 1), up("b", "z", 3, 1)}},
		"since at the upper":                  {upper: frontier.At(4), since: frontier.At(4), err: persist.ErrAsOfBeforeSince},
		"since beyond the upper":              {upper: frontier.At(4), since: frontier.At(30), err: persist.ErrAsOfBeforeSince},
		"nobody reads":                        {upper: frontier.At(4), since: empty, err: persist.ErrAsOfBeforeSince},
		"finished":                            {upper: empty, want: all},
		"finished, with a since":              {upper: empty, since: frontier.At(math.MaxUint64), want: all},
		"finished, and nobody reads":          {upper: empty, since: empty, err: persist.ErrAsOfBeforeSince},
	} {
		t.Run(name, func(t *testing.T) {
			onPlaces(t, func(t *testing.T, p place) {
				c := start(t, p, onDemand())
				w, _ := create(t, c, "s")
				must(t, w.Write(t.Context(), written))
				switch upper, ok := tt.upper.Elem(); {
				case !ok:
					must(t, w.Finish(t.Context()))
				default:
					must(t, w.Seal(t.Context(), upper))
				}
				must(t, w.AllowCompaction(t.Context(), tt.since))
				everywhere(t, p, c, "s", func(t *testing.T, r *reader) {
					s := take(t, r)
					var got []update
					var err error
					for u, e := range s.Current(t.Context()) {
						if e != nil {
							err = e
							continue // that it ends there is the read's to see to
						}
						got = append(got, u)
					}
					require.Equal(t, tt.want, got)
					require.ErrorIs(t, err, tt.err)
					if tt.err != nil {
						require.ErrorContains(t, err, `"s"`)
						require.ErrorContains(t, err, tt.since.String())
						return
					}
					require.NoError(t, err)
					require.NoError(t, s.Close())
					for _, err := range s.Current(t.Context()) {
						require.ErrorIs(t, err, persist.ErrClosed)
						return
					}
					t.Error("a closed snapshot was read")
				})
			})
		})
	}
}
