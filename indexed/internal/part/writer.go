package part

import (
	"context"
	"fmt"
	"iter"

	"github.com/cespare/xxhash/v2"

	"github.com/tidemark-go/tidemark/frontier"
)

// Output says where parts are written to.
type Output struct {
	Config Config
	Info   Info                   // of the first part
	Key    func(index int) string // of a part
	// Set writes a part. A goroutine of the writer calls it, once at a time.
	Set func(ctx context.Context, key string, data []byte) error
}

// Written describes the rows that were written.
type Written struct {
	Parts            []Part
	Rows             int64
	MinTime, MaxTime uint64 // of the rows, when there are any
	// Foldable counts the rows with the (key, val) of the row before. Advancing times may
	// make such a row equal to that row.
	Foldable int64
	Last     []byte // the first bytes of the last key, as many as a separator has at most
	Times    *Spread
}

// Write consolidates sorted sources into parts. Beside what the sources hold it holds one
// part in its compressed form, and the part before it, which is being written.
//
// After an error the parts that it returns may exist or not: the caller must delete them.
func Write(ctx context.Context, out Output, sources []Source, since frontier.Antichain) (Written, error) {
	w := writer{out: out, encoder: newFileEncoder(out.Config)}
	for _, source := range sources {
		if rows, ok := source.(*Rows); ok {
			rows.moves = &w.moves
		}
	}
	err := w.addAll(ctx, Consolidate(ctx, sources, since, out.Config.HeldBytes(), nil))
	if err == nil {
		err = w.finishPart(ctx)
	}
	if outcome := w.wait(); err == nil {
		err = outcome
	}
	w.done.Times = w.sampler.Spread()
	if len(w.done.Parts) > 0 {
		w.done.Last = append([]byte{}, w.last[:min(len(w.last), MaxSeparator)]...)
	}
	return w.done, err
}

// writer turns sorted rows into parts.
type writer struct {
	out  Output
	done Written // so far

	chunk      []Row // the newest rows; encoder does not have them yet
	chunkBytes int   // of these rows, in memory
	chunkMoves int   // moves when the first of these rows came
	moves      int   // how often a source has moved on from a row group; rows of the chunk keep the group in memory
	encoder    *fileEncoder
	last       []byte // a copy of the last key of the part before
	sampler    Sampler

	// A goroutine writes a part to the store while the next one is encoded. It sends the
	// outcome to writing. spare is the encoder whose memory it reads.
	writing chan error // nil if no part is being written
	spare   *fileEncoder
}

func (w *writer) addAll(ctx context.Context, rows iter.Seq2[Row, error]) error {
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

func (w *writer) add(ctx context.Context, r, prev *Row) error {
	b := &w.done
	folds := false
	if b.Rows == 0 {
		b.MinTime, b.MaxTime = r.Time, r.Time
	} else if sameKeyVal(r, prev) {
		folds = true
		b.Foldable++
	}
	b.Rows++
	w.sampler.Add(r, folds)
	b.MinTime, b.MaxTime = min(b.MinTime, r.Time), max(b.MaxTime, r.Time)
	if len(w.chunk) == 0 {
		w.chunkMoves = w.moves
	}
	w.chunk = append(w.chunk, *r)
	w.chunkBytes += RowBytes(r)
	if w.encoder.bytes+w.chunkBytes >= w.out.Config.PartBytes {
		return w.finishPart(ctx)
	}
	if len(w.chunk) == chunkRows || w.chunkBytes >= w.room() || w.moves != w.chunkMoves {
		return w.encodeChunk(ctx)
	}
	return nil
}

// room returns how many bytes of rows fill the present page of the encoder.
func (w *writer) room() int { return w.encoder.room() }

// encodeChunk hands the chunk to the encoder.
func (w *writer) encodeChunk(ctx context.Context) error {
	if len(w.chunk) == 0 {
		return nil
	}
	if w.encoder.rows > 0 && !w.encoder.admits(w.chunk) {
		if err := w.writePart(ctx); err != nil {
			return err
		}
	}
	if w.encoder.rows == 0 {
		info := w.out.Info
		info.Index = len(w.done.Parts)
		w.encoder.begin(w.chunk, info)
	}
	err := w.encoder.add(w.chunk)
	clear(w.chunk) // the rows would keep groups that the sources have moved on from
	w.chunk, w.chunkBytes = w.chunk[:0], 0
	if err != nil {
		return fmt.Errorf("encode part %d of %s: %w", len(w.done.Parts), w.out.Info.Batch, err)
	}
	return nil
}

func (w *writer) finishPart(ctx context.Context) error {
	if err := w.encodeChunk(ctx); err != nil {
		return err
	}
	return w.writePart(ctx)
}

// writePart begins to write what the encoder holds, after the part before is written.
func (w *writer) writePart(ctx context.Context) error {
	if w.encoder.rows == 0 {
		return nil
	}
	b, p := &w.done, Part{Rows: w.encoder.rows, Bytes: w.encoder.bytes}
	p.First, p.Clean = w.encoder.begins(w.last, len(b.Parts) == 0)
	w.last = append(w.last[:0], w.encoder.directory.last...)
	data, directory, err := w.encoder.finish()
	p.Directory = directory
	if err != nil {
		return fmt.Errorf("encode part %d of %s: %w", len(b.Parts), w.out.Info.Batch, err)
	}
	if err := w.wait(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	p.Key = w.out.Key(len(b.Parts))
	p.Size, p.Sum = int64(len(data)), xxhash.Sum64(data)
	// The part is listed even if the write fails: its outcome may be unknown, and it must
	// be deleted.
	b.Parts = append(b.Parts, p)
	w.encoder, w.spare = w.spare, w.encoder
	if w.encoder == nil {
		w.encoder = newFileEncoder(w.out.Config)
	}
	outcome := make(chan error, 1)
	w.writing = outcome
	go func() {
		err := ErrGoexit
		defer func() {
			if err != nil {
				err = fmt.Errorf("write %s: %w", p.Key, err)
			}
			outcome <- err
		}()
		err = w.out.Set(ctx, p.Key, data)
	}()
	return nil
}

// wait returns the outcome of the part that is being written, once it is there.
func (w *writer) wait() error {
	if w.writing == nil {
		return nil
	}
	outcome := w.writing
	w.writing = nil
	return <-outcome
}
