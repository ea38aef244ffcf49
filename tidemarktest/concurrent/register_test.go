package concurrent_test

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/tidemarktest/concurrent"
)

// maybe is a command of unknown outcome that writes x.
func maybe(call, ret int64) command {
	return command{Outcome: concurrent.Unknown, Err: persist.ErrOutcomeUnknown, Call: call, Return: ret, Effects: []effect{{Stream: "s", Updates: []update{up("x", 9, 1)}}}}
}

// withX is the last snapshot of the good history, later, with x or without.
func withX(h *history, call int64, has bool) {
	r := h.Reads[0]
	r.Call, r.Return = call, call+1
	r.Updates = append([]update{}, r.Updates...)
	if has {
		r.Updates = append(r.Updates, up("x", 9, 1))
		r.SeqNo = 85
	}
	h.Reads = append(h.Reads, r)
}

// TestLinearizable changes the good history in ways that a register allows and in
// ways that it does not.
func TestLinearizable(t *testing.T) {
	refused := func(err error, e effect) func(h *history) {
		return func(h *history) {
			h.Commands = append(h.Commands, command{Outcome: concurrent.Refused, Err: err, Call: 86, Return: 87, Effects: []effect{e}})
		}
	}
	e := effect{Stream: "s"}
	for _, row := range []struct {
		name  string
		legal bool
		spoil func(h *history)
	}{
		{"unknown, never seen", true, func(h *history) { h.Commands = append(h.Commands, maybe(82, math.MaxInt64)); withX(h, 100, false) }},
		{"unknown, seen at once", true, func(h *history) { h.Commands = append(h.Commands, maybe(82, math.MaxInt64)); withX(h, 100, true) }},
		{"unknown, seen late", true, func(h *history) {
			h.Commands = append(h.Commands, maybe(82, 105))
			withX(h, 100, false)
			withX(h, 102, true)
		}},
		{"unknown, seen when it was decided long ago", false, func(h *history) {
			h.Commands = append(h.Commands, maybe(82, 99))
			withX(h, 100, false)
			withX(h, 102, true)
		}},
		{"seen and then not", false, func(h *history) {
			h.Commands = append(h.Commands, maybe(82, math.MaxInt64))
			withX(h, 100, true)
			withX(h, 102, false)
		}},
		{"seen and then not, at an owner that has lost its log", true, func(h *history) {
			h.Commands = append(h.Commands, maybe(82, math.MaxInt64))
			withX(h, 100, true)
			withX(h, 102, false)
			h.Reads[2].Detached = true
		}},
		{"nobody wrote it", false, func(h *history) { withX(h, 100, true) }},
		{"a snapshot misses an acknowledged write", false, func(h *history) { h.Reads[0].Updates = h.Reads[0].Updates[1:] }},
		{"a snapshot from before", false, func(h *history) {
			h.Reads[0] = read{Stream: "s", Call: 91, Return: 92, SeqNo: 50, Upper: frontier.At(3), Updates: []update{up("b", 2, 1), up("c", 2, 1), up("d", 4, 1), up("a", 1, 1), up("a", 4, -1)}}
		}},
		{"its upper is old", false, func(h *history) { h.Reads[0].Upper = frontier.At(3) }},
		{"its since is old", false, func(h *history) { h.Reads[0].Since = frontier.At(3) }},
		{"times are not advanced", false, func(h *history) { h.Reads[0].Updates[0].Time = 2 }},
		{"its SeqNo is that of an earlier command", false, func(h *history) { h.Reads[0].SeqNo = 70 }},
		{"frontiers", true, func(h *history) {
			h.Reads = append(h.Reads, read{Stream: "s", FrontiersOnly: true, Call: 36, Return: 37, Upper: frontier.At(3)})
		}},
		{"frontiers from before", false, func(h *history) {
			h.Reads = append(h.Reads, read{Stream: "s", FrontiersOnly: true, Call: 76, Return: 77, Upper: frontier.At(3), Since: frontier.At(4)})
		}},
		{"an acknowledged write before the upper", false, func(h *history) {
			h.Commands[7].Effects[0].Updates[0].Time, h.Reads[0].Updates[4].Time = 5, 5
		}},
		{"an acknowledged seal that goes back", false, func(h *history) {
			h.Commands = append(h.Commands, command{Call: 84, Return: 85, SeqNo: 85, Effects: []effect{{Stream: "s", Seal: at(5)}}})
		}},
		{"an acknowledged compaction that goes back", false, func(h *history) {
			h.Commands = append(h.Commands, command{Call: 84, Return: 85, SeqNo: 85, Effects: []effect{{Stream: "s", Since: at(3)}}})
		}},
		{"two compare-and-appends with one expectation", false, func(h *history) {
			h.Commands[7].Effects[0].Expected = at(3)
		}},
		{"SeqNos against the order of returns", false, func(h *history) { h.Commands[6].SeqNo = 81 }},

		{"a mismatch", true, refused(&persist.UpperMismatchError{Stream: "s", Expected: frontier.At(3), Upper: frontier.At(6)}, effect{Stream: "s", Expected: at(3), Seal: at(9)})},
		{"a mismatch without one", false, refused(&persist.UpperMismatchError{Stream: "s", Expected: frontier.At(6), Upper: frontier.At(6)}, effect{Stream: "s", Expected: at(6), Seal: at(9)})},
		{"a mismatch with another upper", false, refused(&persist.UpperMismatchError{Stream: "s", Expected: frontier.At(3), Upper: frontier.At(7)}, effect{Stream: "s", Expected: at(3), Seal: at(9)})},
		{"too late", true, refused(persist.ErrSealed, effect{Stream: "s", Updates: []update{up("x", 5, 1)}})},
		{"refused in time", false, refused(persist.ErrSealed, effect{Stream: "s", Updates: []update{up("x", 6, 1)}})},
		{"a seal goes back", true, refused(persist.ErrSealRegression, effect{Stream: "s", Seal: at(5)})},
		{"a seal is refused", false, refused(persist.ErrSealRegression, effect{Stream: "s", Seal: at(6)})},
		{"a since goes back", true, refused(persist.ErrSinceRegression, effect{Stream: "s", Since: at(3)})},
		{"a since is refused", false, refused(persist.ErrSinceRegression, effect{Stream: "s", Since: at(4)})},
		{"refused for another reason", true, refused(persist.ErrTooLarge, e)},
		{"without effect", true, func(h *history) {
			h.Commands = append(h.Commands, command{Outcome: concurrent.NoEffect, Err: persist.ErrStopped, Call: 86, Return: 87, Effects: []effect{{Stream: "s", Seal: at(1)}}})
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			h := good()
			row.spoil(h)
			err := concurrent.Linearizable(h, time.Minute)
			if row.legal {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, concurrent.ErrViolated)
			var illegal *concurrent.NotLinearizable
			require.ErrorAs(t, err, &illegal)
			require.Equal(t, "s", illegal.Stream)
			page := filepath.Join(t.TempDir(), "page.html")
			require.NoError(t, illegal.Visualize(page))
			text, err := os.ReadFile(page)
			require.NoError(t, err)
			require.Contains(t, string(text), "snapshot -\\u003e SeqNo")
		})
	}
}

// TestLinearizableGivesUp: a search that takes too long shows nothing, and says so.
func TestLinearizableGivesUp(t *testing.T) {
	h := &history{}
	for i := range 60 {
		h.Commands = append(h.Commands, command{Outcome: concurrent.Unknown, Call: int64(i), Return: math.MaxInt64, Effects: []effect{{Stream: "s", Updates: []update{{Key: string(rune('a' + i)), Diff: 1}}}}})
	}
	h.Reads = []read{{Stream: "s", Call: 100, Return: 101, Updates: []update{up("nobody", 1, 1)}}}
	err := concurrent.Linearizable(h, 50*time.Millisecond)
	require.ErrorIs(t, err, concurrent.ErrVoid)
	require.NotErrorIs(t, err, concurrent.ErrViolated)
}
