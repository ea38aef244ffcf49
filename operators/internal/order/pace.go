package order

import (
	"time"

	"github.com/tidemark-go/tidemark/frontier"
)

// The bounds of a Pace. A burst has as many elements as parallel flows usually have
// workers, or fewer if they are large.
const (
	burstElements = 16
	burstShare    = 16 // of Limits.Bytes
	burstIdle     = time.Millisecond

	pauseElements = 64 // taken in the time that the wait has lasted, at most
	pauseBytes    = 2  // times Limits.Bytes, the same of bytes
	minPause      = 10 * time.Millisecond
	minBytesWait  = 500 * time.Millisecond
	maxWait       = 4 * time.Minute // then there are burstElements a minute, and Limits.Bytes in two
)

// Pace says when to receive while more is held than the limits allow and the batch that
// all of it waits for is not there. It may be slow, and it may be done and wait behind
// others: flow.Map has several workers that send to one channel, where a batch that is
// done waits behind those that were done before it. So receiving nothing would be a
// deadlock, and receiving freely has no bound.
//
//	free -- over the limits --> pause -- over --> burst -- taken, or no more comes --> pause ...
//
// A pause is as large a part of the wait so far as the burst was of twice Limits.Bytes, or
// of 64 elements, if that is more. So while a call is slow, what is held grows by about
// twice Limits.Bytes in the first half second, by Limits.Bytes whenever the wait has grown
// to 1.6 times, and after four minutes by as much every two minutes. When the call is done
// its batch comes after what was done before it, and each Limits.Bytes of that makes the
// wait 1.6 times as long, or two minutes longer: whoever holds less waits longer. A batch
// of more than Limits.Bytes counts as one of that size.
//
// Nothing is taken while nothing comes, so a burst lasts until something does.
//
// It is used by one goroutine.
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
	//museum:slow-taken-freely
	return p.burst, p.timer.C
}

// Woken is called when what Next has returned has come.
func (p *Pace) Woken() {
	if p.burst {
		p.pause()
		return
	}
	p.burst, p.taken = true, Size{} // until something comes: nothing is taken meanwhile
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
	if p.timer != nil {
		p.taken.Bytes += bytes
		p.check()
	}
}

// check ends the burst when enough was taken.
func (p *Pace) check() {
	if p.taken.Bytes > p.limits.Bytes/burstShare || p.taken.Updates >= burstElements {
		p.pause()
		return
	}
	p.timer.Reset(burstIdle)
}

func (p *Pace) pause() {
	p.burst = false
	wait := min(time.Since(p.began), maxWait)
	elements := wait * time.Duration(p.taken.Updates) / pauseElements
	share := min(float64(p.taken.Bytes)/float64(p.limits.Bytes), 1) / pauseBytes
	bytes := time.Duration(share * float64(max(wait, minBytesWait)))
	p.timer.Reset(max(elements, bytes, minPause))
}

// Stop ends the wait.
func (p *Pace) Stop() {
	if p.timer != nil {
		p.timer.Stop()
		p.timer, p.burst = nil, false
	}
}
