package order

import (
	"time"

	"github.com/tidemark-go/tidemark/frontier"
)

// The bounds of a Pace. A burst has as many elements as parallel flows usually have
// workers, or fewer if the elements are large.
const (
	burstElements = 16
	burstShare    = 16               // a burst has at most about Limits.Bytes / burstShare
	burstIdle     = time.Millisecond // a burst ends when nothing comes for so long

	pauseElements = 64 // a burst of so many elements would pause for as long as the wait so far
	pauseBytes    = 2  // and so would a burst of so many times Limits.Bytes
	minPause      = 10 * time.Millisecond
	minBytesWait  = 500 * time.Millisecond // for bytes, a shorter wait counts as this
	// A longer wait counts as maxWait: then there are burstElements a minute, and
	// Limits.Bytes in two minutes.
	maxWait = 4 * time.Minute
)

// Pace says when to receive while a buffer holds more than the limits allow, and the batch
// that all held batches wait for has not come. That batch may be slow. Or it is done, and
// waits behind others: flow.Map has several workers that send to one channel, so a batch
// that is done waits behind those that were done before it. So to receive nothing would be
// a deadlock, and to receive freely has no bound.
//
//	free -- over the limits --> pause -- over --> burst -- taken, or no more comes --> pause ...
//
// A pause is the wait so far, times the larger of two shares: the burst's share of twice
// Limits.Bytes, and the burst's share of 64 elements. So while a call is slow, what is held
// grows:
//
//	in the first half second                        by about twice Limits.Bytes
//	whenever the wait has grown to 1.6 times        by Limits.Bytes
//	every two minutes, after the first four         by Limits.Bytes
//
// When the call is done, its batch comes after the batches that were done before it. Each
// Limits.Bytes of those makes the wait 1.6 times as long, or two minutes longer. So with
// smaller limits the wait is longer. A batch of more than Limits.Bytes counts as
// Limits.Bytes.
//
// A burst in which nothing was taken does not end: it lasts until an element comes.
//
// One goroutine uses a Pace.
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

// Next says whether to receive now, and is asked before every receive. waits says that more
// is held than the limits allow, and next is the lower of the batch that is waited for.
// When wake fires, Woken must be called.
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

// Woken is called when the wake of Next has fired.
func (p *Pace) Woken() {
	if p.burst {
		p.pause()
		return
	}
	p.burst, p.taken = true, Size{} // no timer: the burst lasts until something comes
}

// Received is called with each element, kept or not.
func (p *Pace) Received() {
	if p.burst {
		p.taken.Updates++
		p.check()
	}
}

// Weighed is called with the bytes of the element received last, if it is kept.
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

// Stop ends the wait: receiving is free again.
func (p *Pace) Stop() {
	if p.timer != nil {
		p.timer.Stop()
		p.timer, p.burst = nil, false
	}
}
