package indexed

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/tidemark-go/tidemark/frontier"
)

// writeBatch consolidates sorted sources into the parts of a batch. Beside what the
// sources hold it holds a part in its compressed form, and the one before, which is being
// written meanwhile. After an error nothing is left behind that the next opening would
// not find.
func (e *Engine) writeBatch(ctx context.Context, s *stream, sources []rowSource, since frontier.Antichain, b *batch) (*batch, error) {
	w := batchWriter{e: e, stream: s, batch: b, encoder: newPartEncoder(&e.cfg)}
	for _, source := range sources {
		if rows, ok := source.(*batchRows); ok {
			rows.moves = &w.moves
		}
	}
	err := w.addAll(ctx, consolidate(ctx, sources, since, e.cfg.heldBytes(), nil))
	if err == nil {
		err = w.finishPart(ctx)
	}
	if written := w.wait(); err == nil {
		err = written
	}
	if err != nil {
		e.discard(b)
		return nil, err
	}
	if !b.trace || b.minTime != b.maxTime { // otherwise the one time says it all
		b.times.Store(w.sampler.spread())
	}
	return b, nil
}

// batchWriter turns the rows of a batch into parts.
type batchWriter struct {
	e      *Engine
	stream *stream
	batch  *batch

	chunk      []Row // the newest rows, which encoder does not have yet
	chunkBytes int   // what they take in memory
	chunkMoves int   // moves when the first of them came
	moves      int   // how often a source has left a row group; rows of the chunk keep that in memory
	encoder    *partEncoder
	sampler    sampler

	// A part is written to the store by a goroutine of its own while the next one is
	// encoded. It ends with the outcome; spare is the encoder whose memory it reads.
	writing chan error // nil if no part is being written
	spare   *partEncoder
}

func (w *batchWriter) addAll(ctx context.Context, rows iter.Seq2[Row, error]) error {
	var prev Row
	for r, err := range rows {
		if err == nil {
			err = w.add(ctx, &r, &prev)
		}
		if err != nil {
			return err
		}
		prev = r
	}
	return nil
}

func (w *batchWriter) add(ctx context.Context, r, prev *Row) error {
	b := w.batch
	folds := false
	if b.rows == 0 {
		b.minTime, b.maxTime = r.Time, r.Time
	} else if sameKeyVal(r, prev) {
		folds = true
		b.foldable++
	}
	b.rows++
	w.sampler.add(r, folds)
	b.minTime, b.maxTime = min(b.minTime, r.Time), max(b.maxTime, r.Time)
	if len(w.chunk) == 0 {
		w.chunkMoves = w.moves
	}
	w.chunk = append(w.chunk, *r)
	w.chunkBytes += rowBytes(r)
	if w.encoder.bytes+w.chunkBytes >= w.e.cfg.PartBytes {
		return w.finishPart(ctx)
	}
	if len(w.chunk) == chunkRows || w.chunkBytes >= min(chunkBytes, w.e.cfg.groupBytes()) || w.moves != w.chunkMoves {
		return w.encodeChunk(ctx)
	}
	return nil
}

// encodeChunk hands the chunk to the encoder.
func (w *batchWriter) encodeChunk(ctx context.Context) error {
	if len(w.chunk) == 0 {
		return nil
	}
	if w.encoder.rows > 0 && !w.encoder.admits(w.chunk) {
		if err := w.writePart(ctx); err != nil {
			return err
		}
	}
	if w.encoder.rows == 0 {
		w.encoder.begin(w.chunk, partInfo{w.stream.shownName(), w.batch.String(), len(w.batch.parts)})
	}
	err := w.encoder.add(w.chunk)
	clear(w.chunk) // which keeps what the sources have moved on from
	w.chunk, w.chunkBytes = w.chunk[:0], 0
	if err != nil {
		return fmt.Errorf("encode part %d of %s: %w", len(w.batch.parts), w.batch, err)
	}
	return nil
}

func (w *batchWriter) finishPart(ctx context.Context) error {
	if err := w.encodeChunk(ctx); err != nil {
		return err
	}
	return w.writePart(ctx)
}

// writePart begins to write what the encoder holds, when the part before is written.
func (w *batchWriter) writePart(ctx context.Context) error {
	if w.encoder.rows == 0 {
		return nil
	}
	b, p := w.batch, part{rows: w.encoder.rows, bytes: w.encoder.bytes}
	data, err := w.encoder.finish()
	if err != nil {
		return fmt.Errorf("encode part %d of %s: %w", len(b.parts), b, err)
	}
	if err := w.wait(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	p.key = fmt.Sprintf("%s%d/%s-%d-%d.parquet", batchPrefix, uint64(w.stream.id), w.e.run, b.id, len(b.parts))
	p.size, p.sum = int64(len(data)), xxhash.Sum64(data)
	// Listed also after a failure, whose outcome may be unknown, so that it is deleted.
	b.parts = append(b.parts, p)
	w.encoder, w.spare = w.spare, w.encoder
	if w.encoder == nil {
		w.encoder = newPartEncoder(&w.e.cfg)
	}
	outcome := make(chan error, 1)
	w.writing = outcome
	go func() {
		err := errGoexit
		defer func() {
			if err != nil {
				err = fmt.Errorf("write %s: %w", p.key, err)
			}
			outcome <- err
		}()
		start := time.Now()
		_, err = w.e.blob.Set(ctx, p.key, data)
		w.e.metrics.wroteBlob(b.kind(), len(data), time.Since(start), err)
	}()
	return nil
}

// wait returns the outcome of the part that is being written, when it is there.
func (w *batchWriter) wait() error {
	if w.writing == nil {
		return nil
	}
	outcome := w.writing
	w.writing = nil
	return <-outcome
}
