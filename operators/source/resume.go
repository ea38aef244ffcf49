package source

import (
	"fmt"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
)

// check decides whether a batch source may start from lower, given the since and the upper
// of the stream. It may if what it emits, added to what a correct sink has before lower, is
// the contents of the stream as of every time from the as-of on.
//
//	from    as-of       since          upper        decision
//	------  ----------  -------------  -----------  ------------------------------------
//	any     {}          any            any          ErrInvalid: never complete
//	{0}     a           at most a      any          exact; nothing before the upper passes a
//	{0}     a           after a, {}    any          ErrAsOfBeforeSince
//	u       any time    any            before u     ErrInvalid: another input
//	u       before u    before u       u or after   exact
//	u       any time    u, after, {}   u or after   ErrAsOfBeforeSince
//	u       u or after  before u       u or after   ErrInvalid: the as-of is of no use
//	{}      any time    any            any time     ErrInvalid: another input
//	{}      any time    any            {}           exact: there is nothing left
//
// Here a and u are times, and u is after 0.
//
// After a power cut, the upper that a follower sees may lack the newest group until a
// writer has opened the location. So the rows "another input" may also mean that, and the
// error says so.
//
// The rows in which the as-of or the since is at or after u are refused, because they show
// everything from before u at a time that is emitted again. The sink already has everything
// before u if it is sealed to u: this holds because no batch ends at or before the as-of
// (emitter.due).
func (h history[K, V]) check(since, lower, upper frontier.Antichain) error {
	refuse := func(kind error, format string, args ...any) error {
		return &persist.StreamError{Stream: h.stream, Kind: kind, Detail: fmt.Sprintf(format, args...)}
	}
	switch {
	case h.asOf.IsEmpty():
		return refuse(persist.ErrInvalid,
			"batches as of {} were asked for, and no contents are ever complete as of {}: give a time, or use source.New")
	case lower == frontier.Antichain{}:
		return checkAsOf(h.stream, h.asOf, since)
	//museum:silent-source
	case upper.LessThan(lower):
		return refuse(persist.ErrInvalid,
			"batches from %s on are wanted, but the upper is %s: the input was begun again, or the sink is that of another input; begin again with an empty sink, or give both that belong together. If the input is read by a follower, and no writer has opened it since a power cut, nothing is lost and the newest group may only be hidden yet: open a writer first, and begin nothing again",
			lower, upper)
	case lower.IsEmpty():
		return nil
	case !since.LessThan(lower):
		return refuse(persist.ErrAsOfBeforeSince,
			"updates from time %s on are wanted, and the since is %s: what was there before can no longer be told apart; begin again from {0}, with source.AsOf(since) and an empty sink, and allow compaction up to the time before the sink's upper at most",
			lower, since)
	//museum:doubled-as-of
	case !h.asOf.LessThan(lower):
		return refuse(persist.ErrInvalid,
			"updates from time %s on are wanted as of %s, at which everything shows that came before and that the sink has: leave source.AsOf away, or begin again from {0} with an empty sink",
			lower, h.asOf)
	}
	return nil
}

// checkAsOf checks an as-of against the since in force.
func checkAsOf(stream string, asOf, since frontier.Antichain) error {
	if since.LessEqual(asOf) {
		return nil
	}
	return &persist.StreamError{
		Stream: stream, Kind: persist.ErrAsOfBeforeSince,
		Detail: fmt.Sprintf("the as-of is %s, but the since is %s: read as of the since or later (source.AsOf)", asOf, since),
	}
}
