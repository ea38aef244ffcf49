package part

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/maypok86/otter/v2/stats"
)

// cache holds what was read of parts, decoded: whole parts, pages, directories and indexes.
// It evicts by how often and how recently something was used. If several readers want the
// same at once, it is fetched once.
type cache struct {
	*otter.Cache[cacheKey, cacheEntry]
}

// cacheKey names a piece of a part: a page, counted from 0, or one of the constants below.
type cacheKey struct {
	part  string
	piece int
}

const (
	wholePiece     = -1
	directoryPiece = -2
	firstIndex     = -3 // indexPiece of group 0
)

func indexPiece(group int) int { return firstIndex - group }

// cacheEntry is Columns, a *directory, or a *groupIndex. Size returns the bytes of memory that it
// takes.
type cacheEntry interface{ Size() int }

const cacheEntryOverhead = 256

func newCache(bytes int64, m Metrics) (cache, error) {
	maximum := uint64(math.MaxInt64)
	if bytes >= 0 {
		maximum = uint64(bytes)
	}
	c, err := otter.New(&otter.Options[cacheKey, cacheEntry]{
		MaximumWeight: maximum,
		Weigher: func(_ cacheKey, e cacheEntry) uint32 {
			return uint32(min(int64(e.Size())+cacheEntryOverhead, math.MaxUint32))
		},
		StatsRecorder: cacheStats{m: m},
		// The cache owns no goroutine: its work runs on the goroutine that causes it.
		Executor: func(fn func()) { fn() },
		Logger:   quietLogger{},
	})
	if err != nil {
		return cache{}, fmt.Errorf("tidemark: blob cache: %w", err)
	}
	return cache{c}, nil
}

// present returns a piece of a part if it is in the cache.
func present[E cacheEntry](c cache, key cacheKey) (E, bool) {
	e, _ := c.GetIfPresent(key)
	piece, ok := e.(E)
	return piece, ok
}

// fetched returns a piece of a part, from the cache if it is there.
func fetched[E cacheEntry](ctx context.Context, c cache, key cacheKey, fetch func(ctx context.Context) (E, error)) (E, error) {
	var zero E
	for mine := false; ; {
		e, err := c.Get(ctx, key, otter.LoaderFunc[cacheKey, cacheEntry](
			func(ctx context.Context, _ cacheKey) (cacheEntry, error) {
				mine = true
				e, err := fetch(ctx)
				if err != nil {
					return nil, err
				}
				return e, nil
			}))
		if err == nil {
			return e.(E), nil //nolint:errcheck // the key says what it is
		}
		// Another reader may have begun the fetch, and its context may have ended it.
		if !mine && ctx.Err() == nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
			continue
		}
		return zero, err
	}
}

// fits reports whether so many bytes fit into the cache together.
func (c cache) fits(bytes int64) bool { return uint64(bytes) <= c.GetMaximum() }

// has reports whether a whole part is in the cache. It does not count as a use.
func (c cache) has(p *Part) bool {
	_, ok := c.GetEntryQuietly(cacheKey{p.Key, wholePiece})
	return ok
}

// forget removes everything of a part. Pages whose directory was evicted stay: nobody asks
// for them any more, so the cache evicts them in time.
func (c cache) forget(part string) {
	c.Invalidate(cacheKey{part, wholePiece})
	e, _ := c.Invalidate(cacheKey{part, directoryPiece})
	d, ok := e.(*directory)
	if !ok {
		return
	}
	for i := range d.pages() {
		c.Invalidate(cacheKey{part, i})
	}
	for g := range d.groups {
		c.Invalidate(cacheKey{part, indexPiece(g)})
	}
}

// cacheStats feeds the cache's own counts into the metrics. It counts no misses: what is fetched
// counts as a miss, whether it goes into the cache or past it.
type cacheStats struct{ m Metrics }

var _ stats.Recorder = cacheStats{}

func (s cacheStats) RecordHits(n int)                { s.m.Hits.Add(float64(n)) }
func (s cacheStats) RecordMisses(int)                {}
func (s cacheStats) RecordEviction(uint32)           { s.m.Evictions.Inc() }
func (s cacheStats) RecordLoadSuccess(time.Duration) {}
func (s cacheStats) RecordLoadFailure(time.Duration) {}

// quietLogger drops the messages of the cache: what they report is also returned as an
// error.
type quietLogger struct{}

func (quietLogger) Warn(context.Context, string, error)  {}
func (quietLogger) Error(context.Context, string, error) {}
