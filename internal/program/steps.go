package program

import (
	"errors"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
	"github.com/tidemark-go/tidemark/tidemarktest"
)

// Opcodes: the first byte of a command, modulo their number. The seeds of the fuzz tests
// are programs that were written by hand. So append new opcodes here, and never move one.
const (
	opWrite = iota
	opSeal
	opAllow
	opCompareAndAppend
	opAtomic
	opCheck
	opMaintain
	opRestart
	opListen
	opDrain
	opHold
	opReadHeld
	opAsOf
	opFollow
	opBurst
	opFinish
	opDestroy
	opCount
)

// step runs one command of the program.
func (m *machine) step(c *code) {
	op, i := c.below(opCount), c.below(streams)
	if !m.usable(i) {
		return
	}
	m.report.kinds[op]++
	name := streamName(i)
	s := m.frontiers(name)
	switch op {
	case opWrite:
		updates := c.updates(s.Upper)
		m.submit(tidemarktest.Command{{Stream: name, Updates: updates}}, m.writes[i].Write(m.ctx, updates))
	case opSeal:
		upper := c.time(s.Upper)
		m.submit(tidemarktest.Command{{Stream: name, Seal: at(upper)}}, m.writes[i].Seal(m.ctx, upper))
	case opAllow:
		since := c.frontier(s.Since)
		m.submit(tidemarktest.Command{{Stream: name, Allow: since}}, m.writes[i].AllowCompaction(m.ctx, *since))
	case opCompareAndAppend:
		m.compareAndAppend(c, i)
	case opAtomic:
		m.atomic(c)
	case opCheck:
		m.check(i)
	case opMaintain:
		m.maintain()
	case opRestart:
		m.restart()
	case opListen:
		m.listen(i)
	case opDrain:
		m.drain()
	case opHold:
		m.hold(i)
	case opReadHeld:
		m.readHeld()
	case opAsOf:
		m.asOf(i, c.time(s.Since))
	case opFollow:
		m.follow()
	case opBurst:
		m.burst(c, i)
	case opFinish:
		end := frontier.Empty()
		m.submit(tidemarktest.Command{{Stream: name, Seal: &end}}, m.writes[i].Finish(m.ctx))
	case opDestroy:
		m.destroy(i)
	}
}

func at(t uint64) *frontier.Antichain {
	a := frontier.At(t)
	return &a
}

func (m *machine) submit(c tidemarktest.Command, f *persist.Future[storage.SeqNo]) {
	seqno, err := f.Wait(m.ctx)
	m.submitted(action{command: c}, seqno, err)
	m.alive(err)
}

func (m *machine) compareAndAppend(c *code, i int) {
	upper := m.frontiers(streamName(i)).Upper
	expect, next := upper, c.frontier(upper)
	if c.below(4) == 3 {
		expect = *c.frontier(upper)
	}
	var updates []tidemarktest.Update
	for _, u := range c.updates(expect) {
		if expect.Admits(u.Time) && !next.Admits(u.Time) {
			updates = append(updates, u)
		}
	}
	m.submit(tidemarktest.Command{{Stream: streamName(i), Expect: &expect, Updates: updates, Seal: next}},
		m.writes[i].CompareAndAppend(m.ctx, updates, expect, *next))
}

// atomic writes to all streams that exist, and seals some of them.
func (m *machine) atomic(c *code) {
	var members []persist.Stream
	var writes []*persist.WriteHandle[string, string]
	var cmd tidemarktest.Command
	runtime := m.report.Opened
	for i := range streams {
		if !m.usable(i) {
			continue
		}
		upper := m.frontiers(streamName(i)).Upper
		ch := tidemarktest.Change{Stream: streamName(i), Updates: c.updates(upper)}
		if c.below(2) == 1 {
			ch.Seal = at(c.time(upper))
		}
		members, writes, cmd = append(members, m.writes[i]), append(writes, m.writes[i]), append(cmd, ch)
	}
	if m.report.Opened != runtime {
		return // some of the handles belong to the runtime that failed
	}
	multi, err := persist.NewMultiWriteHandle(members...)
	require.NoError(m, err)
	m.submit(cmd, multi.WriteAtomic(m.ctx, func(b *persist.AtomicWrite) error {
		for n, ch := range cmd {
			if err := persist.AddWrite(b, writes[n], ch.Updates); err != nil {
				return err
			}
			if ch.Seal != nil {
				upper, _ := ch.Seal.Elem()
				if err := persist.AddSeal(b, writes[n], upper); err != nil {
					return err
				}
			}
		}
		return nil
	}))
}

// burst submits writes one after the other without waiting, so they may share a group of
// the log. None of them decides whether another is refused.
func (m *machine) burst(c *code, i int) {
	var cmds []tidemarktest.Command
	var futures []*persist.Future[storage.SeqNo]
	for range 2 + c.below(3) {
		updates := c.updates(m.frontiers(streamName(i)).Upper)
		cmds = append(cmds, tidemarktest.Command{{Stream: streamName(i), Updates: updates}})
		futures = append(futures, m.writes[i].Write(m.ctx, updates))
	}
	var errs []error
	for n, f := range futures {
		seqno, err := f.Wait(m.ctx)
		m.submitted(action{command: cmds[n]}, seqno, err)
		errs = append(errs, err)
	}
	m.alive(errors.Join(errs...))
}

func (m *machine) destroy(i int) {
	name := streamName(i)
	done, err := m.client.Destroy(m.ctx, name)
	if err == nil {
		require.True(m, done, "it was there")
		// No promise says what a listener that is behind still hears.
		m.forget(func(l *listener) bool { return l.stream == name })
	}
	m.submitted(action{destroy: name}, 0, err)
	if err == nil {
		m.writes[i], m.reads[i] = nil, nil
	}
	m.alive(err)
}

func (m *machine) maintain() {
	if err := m.client.Maintain(m.ctx); err != nil {
		m.storageFailed(err)
		m.restart()
	}
}
