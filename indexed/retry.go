package indexed

import "time"

// retry is background work that is tried again after failures, with growing distance: the
// distance doubles with each failure in a row, up to 64 times the least. The zero value is
// work that has not failed. Whoever has one says what guards it.
type retry struct {
	failures int       // in a row
	again    time.Time // when the work is tried again; zero: at once, or as its owner says
}

// maxDoublings bounds the distance between tries, at 64 times the least.
const maxDoublings = 6

// distance returns how long to wait from one try to the next.
func (r *retry) distance(least time.Duration) time.Duration {
	return least << min(r.failures, maxDoublings)
}

// failed notes a failure, and returns how long to wait from now.
func (r *retry) failed(least time.Duration) time.Duration {
	r.failures++
	wait := r.distance(least)
	r.again = time.Now().Add(wait)
	return wait
}

// succeeded notes a success: the next failure is the first again.
func (r *retry) succeeded() { *r = retry{} }

// due reports whether the time for another try has come.
func (r *retry) due(now time.Time) bool { return !now.Before(r.again) }
