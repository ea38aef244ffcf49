package tidemarktest

import (
	"fmt"
	"strings"
	"time"

	"github.com/tidemark-go/tidemark/mem"
)

// Kind is what a request asks for.
type Kind string

// The kinds of requests. Those from OpenReader on need a store that supports them.
const (
	Write         Kind = "write"          // to one stream
	Append        Kind = "append"         // compare-and-append to one stream
	Seal          Kind = "seal"           //
	Finish        Kind = "finish"         // seal for good
	Allow         Kind = "allow"          // compaction
	Atomic        Kind = "atomic"         // several changes of several streams
	Create        Kind = "create"         //
	Destroy       Kind = "destroy"        //
	Describe      Kind = "describe"       //
	Snapshot      Kind = "snapshot"       // taken now, read later
	Read          Kind = "read"           // a snapshot that was taken, in one of the ways there are
	CloseSnapshot Kind = "close snapshot" //
	Listen        Kind = "listen"         //
	Pause         Kind = "pause"          // a listener stops reading
	Resume        Kind = "resume"         // and goes on
	CloseListener Kind = "close listener" //
	Maintain      Kind = "maintain"       //
	Pass          Kind = "pass"           // time passes
	Stop          Kind = "stop"           // the runtime
	Start         Kind = "start"          // the next one
	OpenReader    Kind = "open reader"    // a read-only runtime, as another process has
	FromReader    Kind = "from reader"    // a snapshot
	ListenReader  Kind = "listen reader"  //
	CloseReader   Kind = "close reader"   //
	Down          Kind = "down"           // the storage refuses everything
	Up            Kind = "up"             // and no longer
	Cut           Kind = "cut"            // the answer to the next append is lost
	Hold          Kind = "hold"           // flushes do not complete
	Release       Kind = "release"        // and then they do
	Crash         Kind = "crash"          // or are lost, in part
)

var kinds = []Kind{
	Write, Append, Seal, Finish, Allow, Atomic, Create, Destroy, Describe,
	Snapshot, Read, CloseSnapshot, Listen, Pause, Resume, CloseListener, Maintain, Pass, Stop, Start,
	OpenReader, FromReader, ListenReader, CloseReader, Down, Up, Cut, Hold, Release, Crash,
}

// isControl says whether the kind acts on the harness or the store. Such a request is not a
// call of the runtime, and its success means nothing.
func (k Kind) isControl() bool {
	switch k {
	case Pause, Resume, Pass, Down, Up, Cut, Hold, Release, Crash, CloseSnapshot, CloseListener, CloseReader:
		return true
	}
	return false
}

// request is one step of a history. It depends on the seed and its number alone.
type request struct {
	n       int
	kind    Kind
	command Command       // Write to Atomic
	stream  string        // of the other kinds that have one
	pick    int           // which of the open snapshots, listeners or readers
	way     way           // Read
	lower   uint64        // Read: relative to the since, from 1 before it on
	width   uint64        // Read
	keys    []string      // Read by key: see way
	wait    time.Duration // Pass
	outcome mem.Outcome   // Cut
	parts   int           // Cut
	seed    uint64        // Crash
}

// way is how a snapshot is read.
type way int

const (
	readAll way = iota
	readConsolidated
	readToEnd
	readAsOf
	readBetween
	waysToReadAll // how many those are that read all keys

	// Those that read some keys, as of a time.
	readKey
	readKeys   // ascending
	readRange  // from the first key to the second
	readPrefix // all keys that begin with the first one
)

func (w way) String() string {
	return [...]string{"all", "consolidated", "to end", "as of", "between", "", "key", "keys", "range", "prefix"}[w]
}

func (r request) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s", r.n, r.kind)
	switch r.kind {
	case Write, Append, Seal, Finish, Allow, Atomic:
		for _, ch := range r.command {
			b.WriteString(" ")
			b.WriteString(ch.String())
		}
	case Create, Destroy, Describe, Snapshot, Listen:
		b.WriteString(" " + r.stream)
	case FromReader, ListenReader:
		fmt.Fprintf(&b, " %d %s", r.pick, r.stream)
	case Read:
		fmt.Fprintf(&b, " %d %s", r.pick, r.way)
		if r.keys != nil {
			fmt.Fprintf(&b, " %q", r.keys)
		}
	case Pause, Resume, CloseSnapshot, CloseListener, CloseReader:
		fmt.Fprintf(&b, " %d", r.pick)
	case Pass:
		fmt.Fprintf(&b, " %s", r.wait)
	case Cut:
		fmt.Fprintf(&b, " outcome %d after %d entries", r.outcome, r.parts)
	case Crash:
		fmt.Fprintf(&b, " keeping what seed %d keeps", r.seed)
	}
	return b.String()
}

// String returns the change in a line.
func (c Change) String() string {
	var b strings.Builder
	b.WriteString(c.Stream + "(")
	var parts []string
	for _, u := range c.Updates {
		parts = append(parts, updateString(u))
	}
	if c.Expect != nil {
		parts = append(parts, "expect "+c.Expect.String())
	}
	if c.Seal != nil {
		parts = append(parts, "seal "+c.Seal.String())
	}
	if c.Allow != nil {
		parts = append(parts, "allow "+c.Allow.String())
	}
	b.WriteString(strings.Join(parts, ", "))
	return b.String() + ")"
}

func updateString(u Update) string {
	text := u.Key
	if u.Val != "" {
		text += "=" + u.Val
	}
	return fmt.Sprintf("%s@%d%+d", text, u.Time, u.Diff)
}
