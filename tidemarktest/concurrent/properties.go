package concurrent

import "errors"

// Property is a promise about tails. A history has it or not.
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

// CheckTails checks the nine [Properties], and that snapshots are [Stable]. It returns all
// violations, joined: the first of each property.
//
// The history may come from your own pipeline. If commands are missing in it, their events
// look made up. If reads are missing, the check merely shows less.
func CheckTails(h *History) error {
	var errs []error
	for _, p := range Properties {
		errs = append(errs, p.Check(h))
	}
	return errors.Join(append(errs, Stable(h))...)
}
