package indexed

import (
	"context"
	"fmt"
	"time"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed/internal/part"
)

// writeBatch consolidates sorted sources into the parts of a batch. After an error it hands
// what it has written over for deletion.
func (e *Engine) writeBatch(ctx context.Context, s *stream, sources []part.Source, since frontier.Antichain, b *batch) (*batch, error) {
	out := part.Output{
		Config: e.cfg.parts(),
		Info:   part.Info{Stream: s.shownName(), Batch: b.String()},
		Key: func(index int) string {
			return fmt.Sprintf("%s%d/%s-%d-%d.parquet", batchPrefix, uint64(s.id), e.run, b.id, index)
		},
		Set: func(ctx context.Context, key string, data []byte) error {
			start := time.Now()
			_, err := e.blob.Set(ctx, key, data)
			e.metrics.wroteBlob(b.kind(), len(data), time.Since(start), err)
			return err
		},
	}
	done, err := part.Write(ctx, out, sources, since)
	b.parts, b.rows, b.foldable = done.Parts, done.Rows, done.Foldable
	b.minTime, b.maxTime, b.last = done.MinTime, done.MaxTime, done.Last
	if err != nil {
		e.discard(b)
		return nil, err
	}
	if !b.trace || b.minTime != b.maxTime { // a single time needs no sketch
		b.times.Store(done.Times)
	}
	return b, nil
}
