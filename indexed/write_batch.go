package indexed

import (
	"context"
	"fmt"
	"time"

	"github.com/tidemark-go/tidemark/frontier"
)

// writeBatch consolidates sorted sources into the parts of a batch. After an error nothing
// is left behind that the next opening would not find.
func (e *Engine) writeBatch(ctx context.Context, s *stream, sources []rowSource, since frontier.Antichain, b *batch) (*batch, error) {
	out := output{
		config: e.cfg.parts(),
		info:   partInfo{stream: s.shownName(), batch: b.String()},
		key: func(index int) string {
			return fmt.Sprintf("%s%d/%s-%d-%d.parquet", batchPrefix, uint64(s.id), e.run, b.id, index)
		},
		set: func(ctx context.Context, key string, data []byte) error {
			start := time.Now()
			_, err := e.blob.Set(ctx, key, data)
			e.metrics.wroteBlob(b.kind(), len(data), time.Since(start), err)
			return err
		},
	}
	done, err := writeParts(ctx, out, sources, since)
	b.parts, b.rows, b.foldable = done.parts, done.rows, done.foldable
	b.minTime, b.maxTime = done.minTime, done.maxTime
	if err != nil {
		e.discard(b)
		return nil, err
	}
	if !b.trace || b.minTime != b.maxTime { // otherwise the one time says it all
		b.times.Store(done.times)
	}
	return b, nil
}
