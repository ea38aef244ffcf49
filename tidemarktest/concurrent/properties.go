package concurrent

import "errors"

// Property is a promise about tails that a history keeps or not.
type Property struct {
	Name  string
	Check func(*History) error // a *Violation, or nil
}

// Properties are the nine promises of a snapshot and its tail.
var Properties = []Property{
	{"in order", InOrder},
	{"unique", Unique},
	{"complete", Complete},
	{"atomic", Atomic},
	{"progress after data", ProgressAfterData},
	{"resumable", Resumable},
	{"nothing before the snapshot", NothingBeforeSnapshot},
	{"nothing lost under compaction", NothingLostUnderCompaction},
	{"nothing lost for a slow reader", NothingLostForSlowReader},
}

// CheckTails checks the nine [Properties] and that snapshots are [Stable], and
// returns all violations, joined: of each property the first.
//
// The history may be one of your own pipeline. Commands that are missing in it make
// their events look like made-up ones; reads that are missing merely show less.
func CheckTails(h *History) error {
	var errs []error
	for _, p := range Properties {
		errs = append(errs, p.Check(h))
	}
	return errors.Join(append(errs, Stable(h))...)
}
