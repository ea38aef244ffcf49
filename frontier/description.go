package frontier

import "fmt"

// Description says what times a batch or a stream covers and how exactly.
//
// All updates with a time in [Lower, Upper) are there, and no others in a batch.
// Contents are exact as of any time at or in advance of Since: earlier times may
// have been moved up to it. Since may be in advance of Upper: compaction was
// allowed for data that has yet to come.
//
// The zero value is [{0}, {0}) since {0}: a new stream.
type Description struct {
	Lower, Upper, Since Antichain
}

// Contains reports whether t lies in [Lower, Upper).
func (d Description) Contains(t uint64) bool { return d.Lower.Admits(t) && !d.Upper.Admits(t) }

// IsEmpty reports whether no time lies in [Lower, Upper).
func (d Description) IsEmpty() bool { return d.Upper.LessEqual(d.Lower) }

// Definite reports whether a read as of t is both complete and exact: t is at or
// in advance of Since, and before Upper.
func (d Description) Definite(t uint64) bool { return d.Since.Admits(t) && !d.Upper.Admits(t) }

// String returns "[{1}, {5}) since {3}".
func (d Description) String() string {
	return fmt.Sprintf("[%s, %s) since %s", d.Lower, d.Upper, d.Since)
}
