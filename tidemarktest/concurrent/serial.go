package concurrent

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// Txn is a transaction on lists, one list for each stream. At one moment it appends
// elements to some lists, or reads some lists as a whole, or both.
type Txn struct {
	Name string // unique, for messages
	// Call and Return are ticks. A transaction that looks at the past may have happened at
	// any time before its return: its Call is math.MinInt64. For one of unknown outcome,
	// Return is as in Command.
	Call, Return int64
	Outcome      Outcome
	Appends      map[string][]string // elements by list, in order; all elements are different
	Reads        map[string][]string // whole lists
}

// NotSerializable is a set of transactions that no serial order explains. It matches
// ErrViolated.
type NotSerializable struct {
	// Cycle says why each transaction must come before the next, and the last one before
	// the first. It is empty if a single read is impossible by itself.
	Cycle  []string
	Detail string
}

// Error tells the cycle.
func (e *NotSerializable) Error() string {
	if len(e.Cycle) == 0 {
		return "strict serializable: " + e.Detail
	}
	return "strict serializable: " + e.Detail + ":\n  " + strings.Join(e.Cycle, "\n  ")
}

// Unwrap returns ErrViolated.
func (e *NotSerializable) Unwrap() error { return ErrViolated }

// StrictSerializable checks that transactions are as if they had happened one after the
// other, each at a moment between its call and its return.
//
// The order of appends to a list is the order of its longest read. Every other read must be
// a beginning of that read. These edges of a graph follow:
//
//	ww  one transaction appended before the other
//	wr  one appended what the other read
//	rw  one read a list without what the other appended
//	rt  one had returned before the other was called
//
// No serial order explains a cycle in the graph. A transaction of unknown outcome counts if
// another one read what it appended.
//
// Memory and time are in proportion to the sum of the lengths of what was read.
//
// Errors: a *NotSerializable.
func StrictSerializable(txns []Txn) error {
	l := lists{txns: txns, writer: make(map[element]int), order: make(map[string][]string)}
	if err := l.collect(); err != nil {
		return err
	}
	g := l.graph()
	cycle := g.cycle()
	if cycle == nil {
		return nil
	}
	e := &NotSerializable{Detail: fmt.Sprintf("%d transactions come each before the next, and the last before the first", len(cycle))}
	for _, edge := range cycle {
		e.Cycle = append(e.Cycle, fmt.Sprintf("%s before %s: %s", g.name(edge.from), g.name(edge.to), edge.why))
	}
	return e
}

type element struct{ list, value string }

// lists is what transactions say about the lists.
type lists struct {
	txns   []Txn
	writer map[element]int     // which transaction appended it
	order  map[string][]string // the longest read of each list
	seen   map[int]bool        // transactions whose elements were read
}

// collect finds the order of each list. It returns an error for what is impossible by
// itself.
func (l *lists) collect() error {
	for i := range l.txns {
		for list, values := range l.txns[i].Appends {
			for _, v := range values {
				if other, ok := l.writer[element{list, v}]; ok {
					return l.impossible("%s and %s both append %q to list %q: elements must differ", l.txns[other].Name, l.txns[i].Name, v, list)
				}
				l.writer[element{list, v}] = i
			}
		}
	}
	longest := make(map[string]int)
	for i := range l.txns {
		for list, values := range l.txns[i].Reads {
			if len(values) > len(l.order[list]) {
				l.order[list], longest[list] = values, i
			}
		}
	}
	l.seen = make(map[int]bool)
	for _, list := range slices.Sorted(maps.Keys(l.order)) {
		if err := l.checkOrder(list, &l.txns[longest[list]]); err != nil {
			return err
		}
	}
	for i := range l.txns {
		for list, values := range l.txns[i].Reads {
			if err := l.checkRead(&l.txns[i], list, values, &l.txns[longest[list]]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *lists) impossible(format string, args ...any) error {
	return &NotSerializable{Detail: fmt.Sprintf(format, args...)}
}

// checkOrder checks the elements of the longest read of a list.
func (l *lists) checkOrder(list string, reader *Txn) error {
	at := make(map[string]int)
	for i, v := range l.order[list] {
		if first, ok := at[v]; ok {
			return l.impossible("%s read %q at %d and again at %d of list %q", reader.Name, v, first, i, list)
		}
		at[v] = i
		w, ok := l.writer[element{list, v}]
		if !ok {
			return l.impossible("%s read %q in list %q, which nobody appended", reader.Name, v, list)
		}
		if o := l.txns[w].Outcome; o == Refused || o == NoEffect {
			return l.impossible("%s read %q in list %q, which %s appended, whose outcome is: %s", reader.Name, v, list, l.txns[w].Name, o)
		}
		l.seen[w] = true
		// The elements that one transaction appends are together, in their order.
		own := l.txns[w].Appends[list]
		if n := slices.Index(own, v); n > 0 && (i == 0 || l.order[list][i-1] != own[n-1]) {
			return l.impossible("%s read %q in list %q, but not right after %q, which %s appended before it", reader.Name, v, list, own[n-1], l.txns[w].Name)
		}
	}
	return nil
}

// checkRead checks that a read is a beginning of the longest one, and that it ends between
// two transactions.
func (l *lists) checkRead(reader *Txn, list string, values []string, longest *Txn) error {
	order := l.order[list]
	for i, v := range values {
		if order[i] != v {
			return l.impossible("%s read %q at %d of list %q, and %s read %q there", reader.Name, v, i, list, longest.Name, order[i])
		}
	}
	if n := len(values); n > 0 {
		own := l.txns[l.writer[element{list, values[n-1]}]].Appends[list]
		if last := own[len(own)-1]; last != values[n-1] {
			return l.impossible("%s read list %q up to %q, the middle of a transaction that appended %q too", reader.Name, list, values[n-1], last)
		}
	}
	return nil
}

// graph returns what must have come before what.
func (l *lists) graph() *graph {
	g := &graph{txns: l.txns, out: make([][]edge, len(l.txns))}
	unread := make(map[string][]int) // appends that no read has seen
	for i := range l.txns {
		for list, values := range l.txns[i].Appends {
			if l.txns[i].Outcome == Done && !slices.Contains(l.order[list], values[0]) {
				unread[list] = append(unread[list], i)
			}
		}
	}
	for list, order := range l.order {
		for i := 1; i < len(order); i++ {
			g.add(l.writer[element{list, order[i-1]}], l.writer[element{list, order[i]}], "ww", "it appended %q to list %q, and the other one %q after it", order[i-1], list, order[i])
		}
		if len(order) > 0 {
			for _, w := range unread[list] {
				g.add(l.writer[element{list, order[len(order)-1]}], w, "ww", "it appended %q to list %q, and what the other one appended nobody has read", order[len(order)-1], list)
			}
		}
	}
	for i := range l.txns {
		for list, values := range l.txns[i].Reads {
			n, order := len(values), l.order[list]
			if n > 0 {
				g.add(l.writer[element{list, values[n-1]}], i, "wr", "it appended %q to list %q, which the other one read", values[n-1], list)
			}
			if n < len(order) {
				g.add(i, l.writer[element{list, order[n]}], "rw", "it read list %q without %q, which the other one appended", list, order[n])
				continue
			}
			for _, w := range unread[list] {
				g.add(i, w, "rw", "it read list %q without what the other one appended", list)
			}
		}
	}
	g.addRealTime(func(i int) bool {
		return l.txns[i].Outcome == Done || l.txns[i].Outcome == Unknown && l.seen[i]
	})
	return g
}

// past is the call of a transaction that may have happened at any time before its
// return.
const past = math.MinInt64
