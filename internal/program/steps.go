package program

import (
	"errors"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// Opcodes, by the first byte of a command, modulo their number. The seeds of the fuzz
// tests are programs that somebody wrote: append here, and never move one.
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
	s := m.worlds[0][i]
	switch op {
	case opWrite:
		updates := c.updates(s.upper)
		m.submit(command{{stream: i, updates: updates}}, m.writes[i].Write(m.ctx, updates))
	case opSeal:
		upper := c.time(s.upper)
		m.submit(command{{stream: i, seal: at(upper)}}, m.writes[i].Seal(m.ctx, upper))
	case opAllow:
		since := c.frontier(s.since)
		m.submit(command{{stream: i, allow: since}}, m.writes[i].AllowCompaction(m.ctx, *since))
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
		m.asOf(i, c.time(s.since))
	case opFollow:
		m.follow()
	case opBurst:
		m.burst(c, i)
	case opFinish:
		end := frontier.Empty()
		m.submit(command{{stream: i, seal: &end}}, m.writes[i].Finish(m.ctx))
	case opDestroy:
		m.destroy(i)
	}
}

func at(t uint64) *frontier.Antichain {
	a := frontier.At(t)
	return &a
}

func (m *machine) submit(c command, f *persist.Future[storage.SeqNo]) {
	_, err := f.Wait(m.ctx)
	m.submitted(c, err)
	m.alive(err)
}

func (m *machine) compareAndAppend(c *code, i int) {
	upper := m.worlds[0][i].upper
	expect, next := upper, c.frontier(upper)
	if c.below(4) == 3 {
		expect = *c.frontier(upper)
	}
	var updates []Update
	for _, u := range c.updates(expect) {
		if expect.Admits(u.Time) && !next.Admits(u.Time) {
			updates = append(updates, u)
		}
	}
	f := m.writes[i].CompareAndAppend(m.ctx, updates, expect, *next)
	if !expect.LessThan(*next) {
		_, err := f.Wait(m.ctx)
		require.ErrorIs(m, err, persist.ErrInvalid, "from %s to %s", expect, next)
		return
	}
	m.submit(command{{stream: i, expect: &expect, updates: updates, seal: next}}, f)
}

// atomic writes to all streams that are there, and seals some of them.
func (m *machine) atomic(c *code) {
	var members []persist.Stream
	var cmd command
	runtime := m.report.Opened
	for i := range streams {
		if !m.usable(i) {
			continue
		}
		upper := m.worlds[0][i].upper
		ch := change{stream: i, updates: c.updates(upper)}
		if c.below(2) == 1 {
			ch.seal = at(c.time(upper))
		}
		members, cmd = append(members, m.writes[i]), append(cmd, ch)
	}
	if m.report.Opened != runtime {
		return // some of the handles are of the one that failed
	}
	multi, err := persist.NewMultiWriteHandle(members...)
	require.NoError(m, err)
	m.submit(cmd, multi.WriteAtomic(m.ctx, func(b *persist.AtomicWrite) error {
		for _, ch := range cmd {
			if err := persist.AddWrite(b, m.writes[ch.stream], ch.updates); err != nil {
				return err
			}
			if ch.seal != nil {
				upper, _ := ch.seal.Elem()
				if err := persist.AddSeal(b, m.writes[ch.stream], upper); err != nil {
					return err
				}
			}
		}
		return nil
	}))
}

// burst submits writes one after the other without waiting: they may share a group of
// the log. None of them decides about another.
func (m *machine) burst(c *code, i int) {
	var cmds []command
	var futures []*persist.Future[storage.SeqNo]
	for range 2 + c.below(3) {
		updates := c.updates(m.worlds[0][i].upper)
		cmds = append(cmds, command{{stream: i, updates: updates}})
		futures = append(futures, m.writes[i].Write(m.ctx, updates))
	}
	var errs []error
	for n, f := range futures {
		_, err := f.Wait(m.ctx)
		m.submitted(cmds[n], err)
		errs = append(errs, err)
	}
	m.alive(errors.Join(errs...))
}

func (m *machine) destroy(i int) {
	done, err := m.client.Destroy(m.ctx, m.writes[i].StreamName())
	if err == nil {
		require.True(m, done, "it was there")
		// What a listener that is behind still hears is not promised.
		m.forget(func(l *listener) bool { return l.stream == i })
	}
	m.submitted(command{{stream: i, destroy: true}}, err)
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
