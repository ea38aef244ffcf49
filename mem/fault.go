package mem

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/tidemark-go/tidemark/storage"
)

var (
	// ErrUnavailable is in the errors of operations that an Unreliable refused.
	// They had no effect, and the error matches storage.ErrNoEffect too.
	ErrUnavailable = errors.New("unavailable")

	// ErrTimedOut is in the errors of operations whose answer an Unreliable
	// withheld. They may have happened.
	ErrTimedOut = errors.New("timed out")
)

// Outcome is what becomes of an operation that fails.
type Outcome int

const (
	// Refused: the operation does not happen, and its error says so: it matches
	// storage.ErrNoEffect.
	Refused Outcome = iota
	// Vanished: the operation does not happen, but its error does not say so.
	Vanished
	// AnswerLost: the operation happens, but its error does not say so.
	AnswerLost
	// Torn: of an append the first Fault.Parts entries happen, and its error does
	// not say so. Other operations have no parts: they vanish.
	Torn
)

// Fault is a failure to come.
type Fault struct {
	// Op is the operation that fails; "" is any.
	Op Op
	// Key restricts the fault to blobs whose key begins with it, and for List to
	// prefixes that do.
	Key string
	// Nth says which call fails, of those that match Op and Key and begin after
	// the fault was added. The first is 1, and so is 0.
	Nth int
	// Sticky makes all matching calls after the nth fail as well.
	Sticky bool
	// Outcome is what becomes of the operation. A Close always happens.
	Outcome Outcome
	// Parts is how many entries or blobs come before the failure: those that a
	// Read or List yields, and those that a Torn append leaves behind.
	Parts int
	// Err is the cause to report, syscall.ENOSPC perhaps. nil is ErrUnavailable
	// for Refused and ErrTimedOut for the others.
	Err error
}

func (f Fault) matches(op Op, key string) bool {
	return (f.Op == "" || f.Op == op) && strings.HasPrefix(key, f.Key)
}

// verdict is what an Unreliable has decided about one call.
type verdict struct {
	err     error // what the caller gets in place of the answer; nil: the answer
	happens bool  // the call goes through
	yields  int   // what a Read or List yields before err
	torn    int   // how many entries an append that does not happen leaves behind
}

func (f Fault) verdict(op Op) verdict {
	cause := f.Err
	if cause == nil && f.Outcome == Refused {
		cause = ErrUnavailable
	} else if cause == nil {
		cause = ErrTimedOut
	}
	err := fmt.Errorf("%w: %s", cause, op)
	if closes := op == OpLogClose || op == OpBlobClose; f.Outcome == Refused && !closes {
		err = storage.NoEffect(err)
	}
	v := verdict{err: err, happens: f.Outcome == AnswerLost, yields: max(f.Parts, 0)}
	if f.Outcome == Torn {
		v.torn = v.yields
	}
	return v
}

// armed is a Fault and how often it was met.
type armed struct {
	Fault
	calls int
}

// strikes counts a matching call and says whether it fails.
func (a *armed) strikes() bool {
	a.calls++
	nth := max(a.Nth, 1)
	return a.calls == nth || (a.Sticky && a.calls > nth)
}

// chance decides at random.
type chance struct {
	random  *rand.Rand
	happen  float64
	timeOut float64
}

// strike returns the fault that meets a call of the given number of entries, if
// one does.
func (c *chance) strike(entries int) (Fault, bool) {
	happens, timesOut := c.random.Float64() < c.happen, c.random.Float64() < c.timeOut
	switch {
	case happens && !timesOut:
		return Fault{}, false
	case happens:
		return Fault{Outcome: AnswerLost}, true
	case !timesOut:
		return Fault{Outcome: Refused}, true
	case entries > 1:
		return Fault{Outcome: Torn, Parts: c.random.IntN(entries)}, true
	default:
		return Fault{Outcome: Vanished}, true
	}
}
