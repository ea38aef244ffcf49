package tidemarktest

import (
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// unknown makes a life of commands to the stream "s" whose outcomes are unknown, since
// it crashed.
func unknown(commands ...Change) (calls []*call) {
	l := &life{crashed: 1, stopped: -1}
	for _, ch := range commands {
		ch.Stream = "s"
		c := &call{kind: Atomic, command: Command{ch}}
		c.life, c.err = l, fmt.Errorf("power cut: %w", persist.ErrOutcomeUnknown)
		calls = append(calls, c)
	}
	return calls
}

// done makes a command that was acknowledged.
func done(seqno storage.SeqNo, ch Change) *call {
	ch.Stream = "s"
	c := &call{kind: Atomic, command: Command{ch}, seqno: seqno}
	c.life = &life{crashed: -1, stopped: -1}
	return c
}

func sealTo(f frontier.Antichain) Change { return Change{Seal: &f} }
func addOf(diff int64) Change            { return Change{Updates: []Update{{Key: "a", Time: 9, Diff: diff}}} }

// of is the event, at a SeqNo, of a change that is one.
func of(seqno storage.SeqNo, ch Change) event {
	ch.Stream = "s"
	e := Command{ch}.Events("s")[0]
	e.SeqNo = seqno
	return e
}

// TestTraceless: what a listener of a reader may hear of commands that the next opening
// did not have to find, because it found the same without them.
func TestTraceless(t *testing.T) {
	five, finish, zero := sealTo(frontier.At(5)), sealTo(frontier.Empty()), addOf(0)
	for _, test := range []struct {
		name    string
		unknown []*call // after a seal to {5} at 10, and not found afterwards
		after   []*call
		heard   []event // after that
		end     error
		want    string // in the complaint
	}{
		{"a finish that needs one before it", unknown(finish, finish), []*call{done(20, finish)}, []event{of(20, finish)}, io.EOF, ""},
		{"which cannot be heard instead", unknown(finish, finish), []*call{done(20, finish)}, []event{of(15, finish)}, io.EOF, "want {[] {} 20}"},
		{"updates of nothing that did not happen", unknown(zero), []*call{done(20, zero), done(21, addOf(1))}, []event{of(20, zero), of(21, addOf(1))}, nil, ""},
		{"that did", unknown(zero), []*call{done(20, zero), done(21, addOf(1))}, []event{of(15, zero), of(20, zero), of(21, addOf(1))}, nil, ""},
		{"that is heard in place of another", unknown(zero), []*call{done(20, zero), done(21, addOf(1))}, []event{of(15, zero), of(21, addOf(1))}, nil, "want {[{a  9 0}] {0} 20}"},
		{"that is another twice", unknown(zero), []*call{done(20, zero), done(21, addOf(1))}, []event{of(20, zero), of(20, zero)}, nil, "want {[{a  9 1}] {0} 21}"},
		{"that is the one before it", unknown(five), nil, []event{of(10, five)}, nil, "which nobody did"},
		{"two that cancel out", unknown(addOf(1), addOf(-1)), nil, []event{of(15, addOf(1)), of(16, addOf(-1))}, nil, ""},
		{"that did not happen", unknown(addOf(1), addOf(-1)), []*call{done(20, sealTo(frontier.At(6)))}, []event{of(20, sealTo(frontier.At(6)))}, nil, ""},
		{"the second alone", unknown(addOf(1), addOf(-1)), nil, []event{of(16, addOf(-1))}, nil, "which nobody did"},
		{"what changes something", unknown(addOf(1)), nil, []event{of(15, addOf(1))}, nil, "which nobody did"},
		{"of two lives, the second one's", append(unknown(five), unknown(five, addOf(0))...), nil, []event{of(17, five), of(18, addOf(0))}, nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := &history{ctx: t.Context()}
			create := &call{kind: Create, name: "s"}
			create.life = &life{crashed: -1, stopped: -1}
			h.calls = []*call{create, done(10, five)}
			for i, c := range test.unknown {
				if i > 0 && c.life != test.unknown[i-1].life {
					h.judge.calls(h) // the next opening
				}
				h.calls = append(h.calls, c)
			}
			h.judge.calls(h)
			h.calls = append(h.calls, test.after...)
			h.judge.calls(h)

			l := newListening()
			l.name, l.reader, l.seqno = "s", &reader{}, 1
			l.lo, l.hi = 1, 1
			l.events, l.end = append([]event{of(10, five)}, test.heard...), test.end
			l.close = l.end == nil
			h.judge.listening(h, l)
			if test.want == "" {
				require.NoError(t, h.err)
			} else {
				require.ErrorContains(t, h.err, test.want)
			}
		})
	}
}
