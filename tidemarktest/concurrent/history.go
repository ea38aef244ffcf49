package concurrent

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// Update is an update of a stream of any types. Key and value are in the encoding of the
// stream's codecs: two updates are the same if their encodings are.
type Update = persist.Update[string, string]

// History is what a set of clients did to streams, and what they saw of them.
//
// Ticks order calls and returns: a call with a larger tick than a return began after it.
// Ticks are any numbers that grow with real time, such as those of a counter that all
// clients share.
//
// One goroutine builds a history. After that, several goroutines may check it at once.
type History struct {
	Commands []Command
	Reads    []Read
	Tails    []Tail

	// Operations counts all commands and reads that were asked for, also those that had no
	// effect and are not listed. Elapsed is how long they took.
	Operations int
	Elapsed    time.Duration
	// Struck has what happened to the location: restarts and troubles by name, in order.
	Struck []string
	// Failures are answers that no client must ever get.
	Failures []error
}

// Outcome is what became of a command, as far as its client knows.
type Outcome int

const (
	// Done: the command was acknowledged, and SeqNo is its position.
	Done Outcome = iota
	// Refused: the state of the streams does not allow the command, as Err tells. Nothing
	// changed.
	Refused
	// NoEffect: the command was not taken, whatever the state of the streams. Nothing changed.
	NoEffect
	// Unknown: the command may have taken effect at any moment from its call up to its
	// return.
	Unknown
)

// String returns the name of the outcome.
func (o Outcome) String() string {
	switch o {
	case Done:
		return "done"
	case Refused:
		return "refused"
	case NoEffect:
		return "no effect"
	case Unknown:
		return "unknown"
	default:
		return fmt.Sprintf("Outcome(%d)", int(o))
	}
}

// Command is a call that changes streams, all of them at once.
type Command struct {
	Client int
	// Call and Return are ticks. The Return of a command of unknown outcome is the tick
	// from which on the command can no longer take effect, such as the opening of the
	// location after it. It is math.MaxInt64 if there is none.
	Call, Return int64
	// Submitted is the tick at which the call that handed the command over returned. From
	// then on the command has its place in the order of commands. 0 means not known.
	Submitted int64
	Outcome   Outcome
	SeqNo     storage.SeqNo // meaningful when Done
	Err       error         // nil when Done
	Effects   []Effect      // at most one for a stream
}

// Effect is what a command does to one stream. All its updates come before its
// seal.
type Effect struct {
	Stream   string
	Expected *frontier.Antichain // the upper that a compare-and-append asks for
	Updates  []Update
	Seal     *frontier.Antichain // the new upper
	Since    *frontier.Antichain // the new since
}

// on returns what the command does to a stream, or nil.
func (c *Command) on(stream string) *Effect {
	for i := range c.Effects {
		if c.Effects[i].Stream == stream {
			return &c.Effects[i]
		}
	}
	return nil
}

// mayBeIdle reports whether the command may have changed nothing. Then it has the position
// of the newest command before it, and listeners hear nothing of it.
func (c *Command) mayBeIdle() bool {
	return !slices.ContainsFunc(c.Effects, func(e Effect) bool { return len(e.Updates) > 0 })
}

// Read is a snapshot of one stream, or a look at its frontiers.
type Read struct {
	Stream, Reader string // Reader is a name for messages
	Client         int
	Follower       bool // at a read-only runtime, which sees only what was acknowledged
	// Detached: the read was at the owner while a command of unknown outcome was on its
	// way, or after that. Until the owner is opened again, it shows what had been
	// acknowledged before, although others may see more. No promise says when they do.
	Detached     bool
	Call, Return int64 // ticks
	Upper, Since frontier.Antichain
	// FrontiersOnly: the read was a look at the frontiers. The fields below mean nothing.
	FrontiersOnly bool
	SeqNo         storage.SeqNo
	Updates       []Update // in any order, with times advanced to Since
	// Reread: the snapshot was read once more before it was closed, with this result.
	Reread bool
	Again  []Update
}

// Tail is a snapshot and what a listener delivered after it.
type Tail struct {
	Start  Read
	Events []Event
	// Ended is why nothing more is in Events:
	//	nil         the reader asked for no more
	//	io.EOF      the stream has come to its end
	//	[ErrSilent] nothing more came although the reader waited for all of it
	//	else        the error that the listener returned
	Ended error
	// Asked is the tick at which the reader asked for the event that it did not get.
	Asked int64
}

// Event is something that a listener delivered: updates, or a seal.
type Event struct {
	SeqNo   storage.SeqNo
	Updates []Update           // nil when the event is a seal
	Sealed  frontier.Antichain // meaningful when Updates is nil
	// Asked and Heard are the ticks at which the reader asked for the event and got it.
	Asked, Heard int64
}

var (
	// ErrViolated: every violation of a property matches it.
	ErrViolated = errors.New("property violated")
	// ErrSilent: nothing more came to a tail, although its reader waited until long after
	// everything had been acknowledged.
	ErrSilent = errors.New("nothing more came")
	// ErrVoid: a run did too little to show anything.
	ErrVoid = errors.New("the run did too little to count")
)

// Violation is a property that a history does not have. It matches ErrViolated.
type Violation struct {
	Property string // its name in [Properties], or another that the check documents
	Stream   string
	Reader   string // "" if no single reader is concerned
	SeqNo    storage.SeqNo
	Detail   string
}

// Error names the property, where it was violated, and how.
func (v *Violation) Error() string {
	where := fmt.Sprintf("stream %q", v.Stream)
	if v.Reader != "" {
		where += ", reader " + v.Reader
	}
	return fmt.Sprintf("%s: %s, SeqNo %s: %s", v.Property, where, v.SeqNo, v.Detail)
}

// Unwrap returns ErrViolated.
func (v *Violation) Unwrap() error { return ErrViolated }

// violation reports what a tail did wrong.
func (t *Tail) violation(property string, at storage.SeqNo, format string, args ...any) error {
	return &Violation{Property: property, Stream: t.Start.Stream, Reader: t.Start.Reader, SeqNo: at, Detail: fmt.Sprintf(format, args...)}
}

// reads yields all reads of the history, including those that tails begin with.
func (h *History) reads() iter.Seq[*Read] {
	return func(yield func(*Read) bool) {
		for i := range h.Reads {
			if !yield(&h.Reads[i]) {
				return
			}
		}
		for i := range h.Tails {
			if !yield(&h.Tails[i].Start) {
				return
			}
		}
	}
}

// snapshots yields the reads that are snapshots.
func (h *History) snapshots() iter.Seq[*Read] {
	return func(yield func(*Read) bool) {
		for r := range h.reads() {
			if !r.FrontiersOnly && !yield(r) {
				return
			}
		}
	}
}

// String tells how much happened.
func (h *History) String() string {
	outcomes := make(map[Outcome]int)
	for i := range h.Commands {
		outcomes[h.Commands[i].Outcome]++
	}
	events, told := 0, 0
	for i := range h.Tails {
		t := &h.Tails[i]
		events += len(t.Events)
		if errors.Is(t.Ended, persist.ErrLagged) {
			told++
		}
	}
	return fmt.Sprintf("%d commands (%d done, %d refused, %d without effect, %d unknown), %d reads, %d tails with %d events, %d of them heard late, %d tails cut off, in %s",
		len(h.Commands), outcomes[Done], outcomes[Refused], outcomes[NoEffect], outcomes[Unknown], len(h.Reads), len(h.Tails), events, h.heardLate(), told, h.Elapsed.Round(time.Millisecond))
}

// heardLate counts the events that readers asked for only after the command had been
// acknowledged. Those readers had fallen behind.
func (h *History) heardLate() int {
	acknowledged := make(map[storage.SeqNo]int64)
	for i := range h.Commands {
		if c := &h.Commands[i]; c.Outcome == Done {
			if at, ok := acknowledged[c.SeqNo]; !ok || c.Return < at {
				acknowledged[c.SeqNo] = c.Return
			}
		}
	}
	n := 0
	for i := range h.Tails {
		for _, e := range h.Tails[i].Events {
			if at, ok := acknowledged[e.SeqNo]; ok && at < e.Asked {
				n++
			}
		}
	}
	return n
}
