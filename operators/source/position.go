package source

import (
	"context"
	"runtime"
	"weak"

	"github.com/tidemark-go/tidemark/operators/internal/edge"
	"github.com/tidemark-go/tidemark/operators/internal/progress"
	"github.com/tidemark-go/tidemark/persist"
)

// position is a place in a stream: a snapshot, and a listener for what comes after it. If
// there is none, err says why.
type position[K, V any] struct {
	snapshot *persist.Snapshot[K, V]
	listener *persist.Listener[K, V]
	err      error
}

func listen[K, V any](ctx context.Context, read *persist.ReadHandle[K, V]) position[K, V] {
	var p position[K, V]
	p.snapshot, p.listener, p.err = read.Listen(ctx)
	return p
}

// close closes both. It may be called more than once.
func (p *position[K, V]) close() {
	if p.err != nil {
		return
	}
	_ = p.snapshot.Close() // returns nil, as documented
	_ = p.listener.Close()
}

// idle is a source that was built and not wired yet. It has a position, and no goroutine
// that would close the position.
type idle interface {
	outlet() *edge.Outlet
	release()
}

// releaseWhenDone releases a source that is not wired when its context ends. It does not
// keep the source from being collected as garbage. Then package persist closes what the
// source held.
func releaseWhenDone[S any, P interface {
	*S
	idle
}](ctx context.Context, source P, progress *progress.Progress) {
	w := weak.Make((*S)(source))
	stop := context.AfterFunc(ctx, func() {
		if s := P(w.Value()); s != nil {
			if !s.outlet().Claim() {
				return // its goroutine closes the position
			}
			s.release()
			s.outlet().Close()
		}
		progress.End(context.Cause(ctx))
	})
	runtime.AddCleanup((*S)(source), func(stop func() bool) { stop() }, stop)
}
