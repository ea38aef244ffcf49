package concurrent

import (
	"cmp"
	"slices"

	"github.com/tidemark-go/tidemark/storage"
)

// OrderOfCalls checks that commands take effect in the order of the calls that handed them
// over, also before they are acknowledged. If one call returned before another began, the
// second command has the larger SeqNo, whatever their streams. A snapshot at the owner
// reflects everything that was handed over before the snapshot was called. A snapshot at a
// follower reflects everything that was acknowledged before.
func OrderOfCalls(h *History) error {
	type point struct {
		tick   int64
		known  storage.SeqNo // from this tick on
		call   storage.SeqNo // or the position of the command or read that is called at this tick
		stream string
		reader string
		shares bool // the position may be that of a command before it
	}
	check := func(points []point) error {
		slices.SortStableFunc(points, func(a, b point) int { return cmp.Compare(a.tick, b.tick) })
		var newest storage.SeqNo
		for _, p := range points {
			newest = max(newest, p.known)
			if p.known == 0 && (p.call < newest || p.call == newest && !p.shares) {
				return &Violation{
					Property: "order of calls", Stream: p.stream, Reader: p.reader, SeqNo: p.call,
					Detail: "it was called when what has SeqNo " + newest.String() + " was over",
				}
			}
		}
		return nil
	}
	var commands, owner, followers []point
	for i := range h.Commands {
		c := &h.Commands[i]
		if c.Outcome != Done {
			continue
		}
		handed := point{tick: c.Return, known: c.SeqNo}
		followers = append(followers, handed)
		if c.Submitted > 0 {
			handed.tick = c.Submitted
		}
		stream := ""
		if len(c.Effects) > 0 {
			stream = c.Effects[0].Stream
		}
		commands = append(commands, handed, point{tick: c.Call, call: c.SeqNo, stream: stream, shares: c.mayBeIdle()})
		owner = append(owner, handed)
	}
	for r := range h.snapshots() {
		p := point{tick: r.Call, call: r.SeqNo, stream: r.Stream, reader: r.Reader, shares: true}
		if r.Detached {
			continue
		}
		if r.Follower {
			followers = append(followers, p)
		} else {
			owner = append(owner, p)
		}
	}
	return cmp.Or(check(commands), check(owner), check(followers))
}
