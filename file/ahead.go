package file

import (
	"context"
	"runtime"

	"github.com/tidemark-go/tidemark/storage"
)

// ahead reads large groups before a reading comes to them. Most of the cost of such a group
// is new memory for it, and its checksum. Other processors can do that work while the
// consumer is busy with the groups before.
//
// A goroutine of its own reads each group. It is one of the operations of the handle. It
// has ended when wait returns, or, if the context has ended first, when the disk answers.
type ahead struct {
	reads  operations
	passed int64         // bytes of the groups that the reading has come to
	groups []*aheadGroup // oldest first, all of one segment
	bytes  int64         // of groups
	at     point         // behind the newest of groups
	w      *frameReader  // finds the groups
}

// aheadGroup is a group that is being read, or was read.
type aheadGroup struct {
	s    *segment
	at   point
	size int64
	read chan struct{} // closed when the fields below are set

	header  frameHeader
	payload []byte
	what    string
	err     error
}

const (
	// A reading that has gone this far, in bytes, will go on. Most readings that end earlier
	// are polls, and listeners that want a MiB.
	aheadAfter = 4 << 20
	// At most maxAhead groups are read ahead, at most as many as there are processors, and at
	// most aheadBytes of them.
	maxAhead   = 4
	aheadBytes = 16 << 20
)

// take takes the group at the place that the reading has come to. It returns nil if that
// group is not read ahead. In that case it drops all groups: if a segment was exchanged, it
// may have groups where the reading goes on with the next segment.
func (a *ahead) take(ctx context.Context, s *segment, at point) *aheadGroup {
	if len(a.groups) > 0 && (a.groups[0].s != s || a.groups[0].at != at) {
		a.wait(ctx)
	}
	return a.oldest()
}

func (a *ahead) oldest() *aheadGroup {
	if len(a.groups) == 0 {
		return nil
	}
	g := a.groups[0]
	a.groups[0] = nil // the array lives on
	a.groups = a.groups[1:]
	a.bytes -= g.size
	return g
}

// start begins to read the groups behind the one at the place at, to which the reading has
// come and whose header is h. It goes up to the position last.
func (a *ahead) start(ctx context.Context, s *segment, at point, h frameHeader, last storage.SeqNo) {
	a.passed += h.size()
	if a.passed < aheadAfter || h.length < largeGroup {
		return
	}
	if len(a.groups) == 0 {
		a.w, a.at = newFrameReader(s), at.after(h)
		a.w.read = s.readUnder(ctx, a.reads)
	}
	for len(a.groups) < min(maxAhead, runtime.GOMAXPROCS(0)) && a.at.next <= last {
		h, ok, err := a.w.header(a.at)
		// If anything is wrong, the reading finds it when it comes to this place.
		if err != nil || !ok || h.kind != kindGroup || h.length < largeGroup || a.bytes+h.size() > aheadBytes {
			return
		}
		if !a.reads.slots.TryAcquire(1) {
			return
		}
		g := &aheadGroup{s: s, at: a.at, size: h.size(), read: make(chan struct{})}
		s.acquire()
		go func() {
			defer a.reads.slots.Release(1)
			g.begin()
			_ = s.release() // only read
		}()
		a.groups = append(a.groups, g)
		a.bytes += g.size
		a.at = a.at.after(h)
	}
}

func (g *aheadGroup) begin() {
	defer close(g.read)
	g.header, g.payload, g.what, g.err = newFrameReader(g.s).group(g.at, nil)
}

// group is frameReader.group for a group that is read ahead. If g is nil, it reads the
// group now.
func (g *aheadGroup) group(ctx context.Context, w *frameReader, at point) (frameHeader, []byte, string, error) {
	if g == nil {
		return w.group(at, nil)
	}
	select {
	case <-g.read:
		return g.header, g.payload, g.what, g.err
	case <-ctx.Done():
		return frameHeader{}, nil, "", ctx.Err()
	}
}

// wait waits for the groups that were not taken, as long as the context lasts.
func (a *ahead) wait(ctx context.Context) {
	for g := a.oldest(); g != nil; g = a.oldest() {
		select {
		case <-g.read:
		case <-ctx.Done():
		}
	}
}
