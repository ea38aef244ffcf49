package mem

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tidemark-go/tidemark/storage"
)

var (
	// ErrUnavailable: an Unreliable refused the operation. The operation had no effect, and
	// the error also matches storage.ErrNoEffect.
	ErrUnavailable = errors.New("unavailable")

	// ErrTimedOut: an Unreliable withheld the answer of the operation. The operation may have
	// happened.
	ErrTimedOut = errors.New("timed out")
)

// Outcome says what happens to an operation that fails.
type Outcome int

const (
	// Refused: the operation does not happen, and its error says so: the error matches
	// storage.ErrNoEffect.
	Refused Outcome = iota
	// Vanished: the operation does not happen, but its error does not say so.
	Vanished
	// AnswerLost: the operation happens, but its error does not say so.
	AnswerLost
	// Torn: the first Fault.Parts entries of an append are appended, and its error does not
	// say so. Other operations have no parts: for them Torn is Vanished.
	Torn
)

// Fault is a failure that will happen.
type Fault struct {
	// Op is the operation that fails; "" is any.
	Op Op
	// Key restricts the fault to blobs whose key begins with Key. For List, it restricts the
	// fault to prefixes that begin with Key.
	Key string
	// Nth says which call fails, counted among the calls that match Op and Key and begin
	// after the fault was added. The first is 1, and 0 means 1.
	Nth int
	// Sticky makes all matching calls after the Nth fail as well.
	Sticky bool
	// Outcome says what happens to the operation. A Close always happens.
	Outcome Outcome
	// Parts is how many entries or blobs come before the failure. A Read or List yields
	// that many, and a Torn append leaves that many behind.
	Parts int
	// Err is the cause to report, for example syscall.ENOSPC. nil means ErrUnavailable for
	// Refused, and ErrTimedOut for the other outcomes.
	Err error
}

func (f Fault) matches(op Op, key string) bool {
	return (f.Op == "" || f.Op == op) && strings.HasPrefix(key, f.Key)
}

// verdict is the decision of an Unreliable about one call.
type verdict struct {
	err     error // the caller gets it in place of the answer; nil: the caller gets the answer
	happens bool  // the call goes through
	yields  int   // how many items a Read or List yields before err
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

// armed is a Fault, and how many calls have matched it.
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

// chance decides at random what fails.
type chance struct {
	random  draws
	happen  float64
	timeOut float64
}

// strike decides about a call of op, with a number of entries. It returns the fault that
// strikes the call, or false.
func (c *chance) strike(op Op, entries int) (Fault, bool) {
	random := c.random.next(op)
	happens, timesOut := random.Float64() < c.happen, random.Float64() < c.timeOut
	switch {
	case happens && !timesOut:
		return Fault{}, false
	case happens:
		return Fault{Outcome: AnswerLost}, true
	case !timesOut:
		return Fault{Outcome: Refused}, true
	case entries > 1:
		return Fault{Outcome: Torn, Parts: random.IntN(entries)}, true
	default:
		return Fault{Outcome: Vanished}, true
	}
}
