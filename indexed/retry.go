package indexed

import "time"

// retry is work that failed and is tried again. The distance between tries doubles with
// each failure in a row, up to 64 times the least. The zero value is work that has not
// failed. The owner of a retry says what guards it.
type retry struct {
	failures int       // in a row
	again    time.Time // when the work is tried again; zero: at once, or as the owner says
}

// maxDoublings bounds the distance between tries, at 64 times the least.
const maxDoublings = 6

// distance returns how long to wait from one try to the next.
func (r *retry) distance(least time.Duration) time.Duration {
	return least << min(r.failures, maxDoublings)
}

// failed notes a failure, and returns how long to wait before the next try.
func (r *retry) failed(least time.Duration) time.Duration {
	r.failures++
	wait := r.distance(least)
	r.again = time.Now().Add(wait)
	return wait
}

// succeeded notes a success. The next failure counts as the first again.
func (r *retry) succeeded() { *r = retry{} }

// due reports whether it is time for the next try.
func (r *retry) due(now time.Time) bool { return !now.Before(r.again) }
