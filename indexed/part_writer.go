package indexed

import (
	"context"
	"fmt"
	"iter"

	"github.com/cespare/xxhash/v2"

	"github.com/tidemark-go/tidemark/frontier"
)

// output is where parts go.
type output struct {
	config partConfig
	info   partInfo               // of the first part
	key    func(index int) string // of a part
	// set writes a part. It is called by a goroutine of the writer, once at a time.
	set func(ctx context.Context, key string, data []byte) error
}

// written is what became of rows that were written.
type written struct {
	parts            []part
	rows             int64
	minTime, maxTime uint64 // of the rows, when there are any
	// foldable counts the rows whose (key, val) is that of the row before: those
	// that advancing their times may consolidate away.
	foldable int64
	times    *spread
}

// writeParts consolidates sorted sources into parts. Beside what the sources hold it holds
// a part in its compressed form, and the one before, which is being written meanwhile.
//
// After an error the parts that it returns may be there or not.
func writeParts(ctx context.Context, out output, sources []rowSource, since frontier.Antichain) (written, error) {
	w := partWriter{out: out, encoder: newPartEncoder(out.config)}
	for _, source := range sources {
		if rows, ok := source.(*partRows); ok {
			rows.moves = &w.moves
		}
	}
	err := w.addAll(ctx, consolidate(ctx, sources, since, out.config.heldBytes(), nil))
	if err == nil {
		err = w.finishPart(ctx)
	}
	if outcome := w.wait(); err == nil {
		err = outcome
	}
	w.done.times = w.sampler.spread()
	return w.done, err
}

// partWriter turns sorted rows into parts.
type partWriter struct {
	out  output
	done written // so far

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

func (w *partWriter) addAll(ctx context.Context, rows iter.Seq2[Row, error]) error {
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

func (w *partWriter) add(ctx context.Context, r, prev *Row) error {
	b := &w.done
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
	if w.encoder.bytes+w.chunkBytes >= w.out.config.partBytes {
		return w.finishPart(ctx)
	}
	if len(w.chunk) == chunkRows || w.chunkBytes >= min(chunkBytes, w.out.config.groupBytes()) || w.moves != w.chunkMoves {
		return w.encodeChunk(ctx)
	}
	return nil
}

// encodeChunk hands the chunk to the encoder.
func (w *partWriter) encodeChunk(ctx context.Context) error {
	if len(w.chunk) == 0 {
		return nil
	}
	if w.encoder.rows > 0 && !w.encoder.admits(w.chunk) {
		if err := w.writePart(ctx); err != nil {
			return err
		}
	}
	if w.encoder.rows == 0 {
		info := w.out.info
		info.index = len(w.done.parts)
		w.encoder.begin(w.chunk, info)
	}
	err := w.encoder.add(w.chunk)
	clear(w.chunk) // which keeps what the sources have moved on from
	w.chunk, w.chunkBytes = w.chunk[:0], 0
	if err != nil {
		return fmt.Errorf("encode part %d of %s: %w", len(w.done.parts), w.out.info.batch, err)
	}
	return nil
}

func (w *partWriter) finishPart(ctx context.Context) error {
	if err := w.encodeChunk(ctx); err != nil {
		return err
	}
	return w.writePart(ctx)
}

// writePart begins to write what the encoder holds, when the part before is written.
func (w *partWriter) writePart(ctx context.Context) error {
	if w.encoder.rows == 0 {
		return nil
	}
	b, p := &w.done, part{rows: w.encoder.rows, bytes: w.encoder.bytes}
	data, err := w.encoder.finish()
	if err != nil {
		return fmt.Errorf("encode part %d of %s: %w", len(b.parts), w.out.info.batch, err)
	}
	if err := w.wait(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	p.key = w.out.key(len(b.parts))
	p.size, p.sum = int64(len(data)), xxhash.Sum64(data)
	// Listed also after a failure, whose outcome may be unknown, so that it is deleted.
	b.parts = append(b.parts, p)
	w.encoder, w.spare = w.spare, w.encoder
	if w.encoder == nil {
		w.encoder = newPartEncoder(w.out.config)
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
		err = w.out.set(ctx, p.key, data)
	}()
	return nil
}

// wait returns the outcome of the part that is being written, when it is there.
func (w *partWriter) wait() error {
	if w.writing == nil {
		return nil
	}
	outcome := w.writing
	w.writing = nil
	return <-outcome
}
