package file

import (
	"context"
	"runtime"

	"github.com/tidemark-go/tidemark/storage"
)

// ahead reads large groups before a reading comes to them. Most of what such a
// group costs is new memory for it and its checksum, and other processors can do
// that while the consumer is busy with the groups before.
//
// Each is read by a goroutine of its own, which is one of the operations of the handle, and
// has ended when wait returns, unless the context has ended first: then it ends when the
// disk answers.
type ahead struct {
	reads  operations
	passed int64         // bytes of groups that the reading has come to
	groups []*aheadGroup // oldest first, all of one segment
	bytes  int64         // of groups
	at     point         // behind the newest of groups
	w      *frameReader  // finds them
}

// aheadGroup is a group that is being read, or was.
type aheadGroup struct {
	s    *segment
	at   point
	size int64
	read chan struct{} // closed when what follows is there

	header  frameHeader
	payload []byte
	what    string
	err     error
}

const (
	// A reading that has gone this far will go on: most that end early are polls, and
	// listeners that want a MiB.
	aheadAfter = 4 << 20
	// No more groups than this are read ahead, nor than there are processors, nor more
	// than aheadBytes of them.
	maxAhead   = 4
	aheadBytes = 16 << 20
)

// take takes the group at the place that the reading has come to. It returns nil if that
// is not read ahead. Then nothing is any more: in a segment that was exchanged, groups may
// follow where the reading goes on with the next one.
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

// start begins to read what comes behind the group with header h, to which the
// reading has come, up to last.
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
		// What is wrong with it is found when the reading comes to it.
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

// group is frameReader.group for a group that is read ahead, or not: nil.
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

// wait waits for the groups that nobody has taken, as long as the context lasts.
func (a *ahead) wait(ctx context.Context) {
	for g := a.oldest(); g != nil; g = a.oldest() {
		select {
		case <-g.read:
		case <-ctx.Done():
		}
	}
}
