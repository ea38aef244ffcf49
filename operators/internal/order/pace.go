package order

import (
	"time"

	"github.com/tidemark-go/tidemark/frontier"
)

// The bounds of a Pace. A burst has as many batches as parallel flows usually have
// workers, or some fewer if they are large.
const (
	burstBatches = 16
	burstLeast   = 4
	burstShare   = 16 // of Limits.Bytes
	burstIdle    = time.Millisecond
	minPause     = 10 * time.Millisecond
	maxPause     = time.Minute
)

// Pace says when to receive while more is held than the limits allow and the batch that
// all of it waits for is not there. It may be slow, and it may be done and wait behind
// others: flow.Map has several workers that send to one channel, where a batch that is
// done waits behind those that were done before it. So receiving nothing would be a
// deadlock, and receiving freely has no bound.
//
//	free -- over the limits --> pause -- over --> burst -- taken, or nothing comes --> pause ...
//
// Pauses grow with the wait, by a quarter of it, up to a minute. So while a call is slow
// what is held grows by a burst for every quarter that the wait grows by, and after four
// minutes by a burst a minute; and when the call is done its batch is there after as many
// bursts as take what was done before it, mostly one. It is used by one goroutine.
type Pace struct {
	limits Limits
	next   frontier.Antichain
	timer  *time.Timer // nil while receiving is free
	began  time.Time   // of the wait for next

	burst bool
	taken Size // in this burst; Updates counts elements
}

// NewPace returns the pace of a buffer with the limits.
func NewPace(limits Limits) *Pace { return &Pace{limits: limits} }

// Next says whether to receive now, and what to wait for beside that, after which Woken
// is to be called. It is asked before every receive.
func (p *Pace) Next(waits bool, next frontier.Antichain) (receive bool, wake <-chan time.Time) {
	if !waits {
		p.Stop()
		return true, nil
	}
	if p.timer == nil || p.next != next {
		p.Stop()
		p.next, p.began = next, time.Now()
		p.timer = time.NewTimer(minPause)
	}
	return p.burst, p.timer.C
}

// Woken is called when what Next has returned has come.
func (p *Pace) Woken() {
	if p.burst {
		p.pause()
		return
	}
	p.burst, p.taken = true, Size{}
	p.timer.Reset(burstIdle)
}

// Received is called with each element, whatever it is.
func (p *Pace) Received() {
	if p.burst {
		p.taken.Updates++
		p.check()
	}
}

// Weighed is called with the bytes of what was received last, if it is kept.
func (p *Pace) Weighed(bytes int64) {
	if p.burst {
		p.taken.Bytes += bytes
		p.check()
	}
}

// check ends the burst when enough was taken.
func (p *Pace) check() {
	large := p.taken.Bytes > p.limits.Bytes/burstShare && p.taken.Updates >= burstLeast
	if large || p.taken.Updates >= burstBatches {
		p.pause()
		return
	}
	p.timer.Reset(burstIdle)
}

func (p *Pace) pause() {
	p.burst = false
	p.timer.Reset(min(max(time.Since(p.began)/4, minPause), maxPause))
}

// Stop ends the wait.
func (p *Pace) Stop() {
	if p.timer != nil {
		p.timer.Stop()
		p.timer, p.burst = nil, false
	}
}
