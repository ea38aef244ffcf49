package concurrent

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// Linearizable checks that the commands and reads of each stream, by themselves, are those
// of a single register. Each must look as if it had happened at one moment between its call
// and its return. Those with SeqNos happened in the order of the SeqNos, and each read saw
// all commands before it.
//
// The state of the register is the upper, the since and the contents. A command over
// several streams counts for each of them. [Atomic] and [StrictSerializable] find out
// whether it is atomic.
//
// The search may take long where many commands of unknown outcome overlap. After the
// timeout it is given up for a stream, and then nothing was shown. 0 means no limit.
//
// Errors: a *NotLinearizable, which matches ErrViolated; ErrVoid.
func Linearizable(h *History, timeout time.Duration) error {
	operations := make(map[string][]porcupine.Operation)
	add := func(stream string, client int, call, ret int64, o operation) {
		operations[stream] = append(operations[stream], porcupine.Operation{ClientId: client, Input: o, Call: call, Return: ret})
	}
	for i := range h.Commands {
		c := &h.Commands[i]
		for k := range c.Effects {
			// The error of a refused atomic write need not tell which stream was the
			// reason.
			if c.Outcome == NoEffect || c.Outcome == Refused && len(c.Effects) > 1 {
				continue
			}
			add(c.Effects[k].Stream, c.Client, c.Call, c.Return, operation{command: c, effect: &c.Effects[k]})
		}
	}
	for r := range h.reads() {
		if !r.Detached {
			add(r.Stream, r.Client, r.Call, r.Return, operation{read: r, tally: tallyOf(r.Updates)})
		}
	}
	model := register.ToModel()
	for _, stream := range slices.Sorted(maps.Keys(operations)) {
		ops := operations[stream]
		switch porcupine.CheckOperationsTimeout(model, ops, timeout) {
		case porcupine.Ok:
		case porcupine.Unknown:
			return fmt.Errorf("stream %q: %w: its %d operations were not checked within %s", stream, ErrVoid, len(ops), timeout)
		default:
			_, info := porcupine.CheckOperationsVerbose(model, ops, timeout)
			return &NotLinearizable{Stream: stream, Operations: len(ops), info: info}
		}
	}
	return nil
}

// NotLinearizable is a history of one stream that no order of its operations explains. It
// matches ErrViolated.
type NotLinearizable struct {
	Stream     string
	Operations int
	info       porcupine.LinearizationInfo
}

// Error names the stream.
func (e *NotLinearizable) Error() string {
	return fmt.Sprintf("linearizable: stream %q: no order of its %d operations explains what they returned", e.Stream, e.Operations)
}

// Unwrap returns ErrViolated.
func (e *NotLinearizable) Unwrap() error { return ErrViolated }

// Visualize writes a web page that shows the operations, the longest explanations that were
// found, and where those end.
func (e *NotLinearizable) Visualize(path string) error {
	return porcupine.VisualizePath(register.ToModel(), e.info, path)
}

// operation is the input of the register: a command's effect, or a read.
type operation struct {
	command *Command
	effect  *Effect
	read    *Read
	tally   tally // what the read has read
}

// content is the state of the register. Values are never changed.
type content struct {
	upper, since frontier.Antichain
	seqno        storage.SeqNo // of the newest operation whose position is known
	tally        tally
}

var register = porcupine.NondeterministicModel{
	Init: func() []any { return []any{content{}} },
	Step: func(state, input, _ any) []any { return is[operation](input).step(is[content](state)) },
	Equal: func(a, b any) bool {
		x, y := is[content](a), is[content](b)
		return x.upper == y.upper && x.since == y.since && x.seqno == y.seqno && slices.Equal(x.tally, y.tally)
	},
	Hash:              func(state any) uint64 { return is[content](state).tally.digest() },
	DescribeOperation: func(input, _ any) string { return is[operation](input).String() },
	DescribeState:     func(state any) string { return is[content](state).String() },
}

// is returns what porcupine hands back, which always has the type that it was given.
func is[T any](v any) T {
	t, _ := v.(T)
	return t
}

// step returns the states that the operation may lead to.
func (o operation) step(s content) []any {
	if o.read != nil {
		if o.read.Upper != s.upper || o.read.Since != s.since {
			return nil
		}
		if o.read.FrontiersOnly {
			return []any{s}
		}
		if o.read.SeqNo < s.seqno || !slices.Equal(o.tally, s.tally) {
			return nil
		}
		s.seqno = o.read.SeqNo
		return []any{s}
	}
	switch o.command.Outcome {
	case Done:
		after, ok := o.effect.apply(s)
		idle := len(o.effect.Updates) == 0 && after.upper == s.upper && after.since == s.since
		if !ok || o.command.SeqNo < s.seqno || o.command.SeqNo == s.seqno && !idle {
			return nil
		}
		after.seqno = o.command.SeqNo
		return []any{after}
	case Refused:
		if o.refusable(s) {
			return []any{s}
		}
		return nil
	default:
		if after, ok := o.effect.apply(s); ok {
			return []any{s, after}
		}
		return []any{s}
	}
}

// apply returns the state after the effect, or false if the stream would have to refuse it.
func (e *Effect) apply(s content) (content, bool) {
	if e.Expected != nil && *e.Expected != s.upper {
		return s, false
	}
	if _, late := before(e.Updates, s.upper); late {
		return s, false
	}
	if e.Seal != nil {
		if e.Seal.LessThan(s.upper) {
			return s, false
		}
		s.upper = *e.Seal
	}
	if e.Since != nil {
		if e.Since.LessThan(s.since) {
			return s, false
		}
		s.since = *e.Since
	}
	s.tally = s.tally.plus(e.Updates).advance(s.since)
	return s, true
}

// refusable reports whether the state is a reason for the refusal that was given.
func (o operation) refusable(s content) bool {
	var mismatch *persist.UpperMismatchError
	switch e, err := o.effect, o.command.Err; {
	case errors.As(err, &mismatch):
		return e.Expected != nil && *e.Expected != s.upper && mismatch.Upper == s.upper
	case errors.Is(err, persist.ErrSealed):
		_, late := before(e.Updates, s.upper)
		return late
	case errors.Is(err, persist.ErrSealRegression):
		return e.Seal != nil && e.Seal.LessThan(s.upper)
	case errors.Is(err, persist.ErrSinceRegression):
		return e.Since != nil && e.Since.LessThan(s.since)
	default:
		return true // it does not depend on the state
	}
}

// String describes the operation and its answer, for the visualization.
func (o operation) String() string {
	if r := o.read; r != nil {
		if r.FrontiersOnly {
			return fmt.Sprintf("description -> upper %s since %s", r.Upper, r.Since)
		}
		return fmt.Sprintf("snapshot -> SeqNo %s upper %s since %s, %d updates (%08x)", r.SeqNo, r.Upper, r.Since, len(r.Updates), o.tally.digest()>>32)
	}
	e := o.effect
	text := ""
	if e.Expected != nil {
		text = fmt.Sprintf("if upper %s ", *e.Expected)
	}
	if len(e.Updates) > 0 {
		text += "write " + describe(e.Updates) + " "
	}
	if e.Seal != nil {
		text += fmt.Sprintf("seal %s ", *e.Seal)
	}
	if e.Since != nil {
		text += fmt.Sprintf("since %s ", *e.Since)
	}
	if o.command.Outcome == Done {
		return fmt.Sprintf("%s-> SeqNo %s", text, o.command.SeqNo)
	}
	return fmt.Sprintf("%s-> %s: %v", text, o.command.Outcome, o.command.Err)
}

// String describes the state, for the visualization.
func (s content) String() string {
	return fmt.Sprintf("SeqNo %s upper %s since %s (%08x)", s.seqno, s.upper, s.since, s.tally.digest()>>32)
}

// describe prints updates as "key val @time +diff".
func describe(updates []Update) string {
	text := "["
	for i, u := range updates {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%q %q @%d %+d", u.Key, u.Val, u.Time, u.Diff)
	}
	return text + "]"
}

// never is the return of a command that may take effect at any later time.
const never = math.MaxInt64
