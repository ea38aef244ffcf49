// Package order puts batches back in order by their descriptions.
package order

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tidemark-go/tidemark/frontier"
)

var (
	// ErrOverlap: two batches have times in common, but not the same interval.
	ErrOverlap = errors.New("batches overlap")
	// ErrMissing: a batch that other batches wait for did not come.
	ErrMissing = errors.New("batch missing")
)

// Size says how large a batch is.
type Size struct {
	Updates int
	Bytes   int64 // about, in memory
}

// Buffer holds batches that came before their turn. One goroutine uses it.
type Buffer[T any] struct {
	limits Limits
	held   []held[T] // by lower; no two overlap
	size   Size      // of all
}

type held[T any] struct {
	frontier.Description
	size  Size
	batch T
}

// NewBuffer returns an empty buffer.
func NewBuffer[T any](limits Limits) *Buffer[T] { return &Buffer[T]{limits: limits} }

// Len returns the number of batches held.
func (b *Buffer[T]) Len() int { return len(b.held) }

// Add holds a batch. If a batch with the same description is held already, the new one is a
// repetition, and Add drops it.
//
// Errors: ErrOverlap.
func (b *Buffer[T]) Add(d frontier.Description, size Size, batch T) error {
	i, found := slices.BinarySearchFunc(b.held, d.Lower, func(h held[T], lower frontier.Antichain) int {
		return h.Lower.Compare(lower)
	})
	if found && b.held[i].Upper == d.Upper {
		return nil
	}
	switch {
	case found:
		return overlap(d, b.held[i].Description)
	case i > 0 && d.Lower.LessThan(b.held[i-1].Upper):
		return overlap(d, b.held[i-1].Description)
	case i < len(b.held) && b.held[i].Lower.LessThan(d.Upper):
		return overlap(d, b.held[i].Description)
	}
	b.held = slices.Insert(b.held, i, held[T]{d, size, batch})
	b.size.Updates += size.Updates
	b.size.Bytes += size.Bytes
	return nil
}

func overlap(a, b frontier.Description) error {
	return fmt.Errorf("tidemark: %w: [%s, %s) and [%s, %s): let one source feed this operator, and keep descriptions as they are",
		ErrOverlap, a.Lower, a.Upper, b.Lower, b.Upper)
}

// Over says that the buffer holds more than the limits allow.
func (b *Buffer[T]) Over() bool {
	return len(b.held) > b.limits.Batches || b.size.Updates > b.limits.Updates || b.size.Bytes > b.limits.Bytes
}

// Has says that the buffer holds the batch whose lower is next.
func (b *Buffer[T]) Has(next frontier.Antichain) bool {
	return len(b.held) > 0 && b.held[0].Lower == next
}

// Take removes and returns the batch whose lower is next.
func (b *Buffer[T]) Take(next frontier.Antichain) (batch T, size Size, ok bool) {
	if !b.Has(next) {
		return batch, size, false
	}
	first := b.removeFirst()
	return first.batch, first.size, true
}

// removeFirst removes and returns the batch with the least lower. There must be one.
func (b *Buffer[T]) removeFirst() held[T] {
	first := b.held[0]
	b.held = slices.Delete(b.held, 0, 1)
	b.size.Updates -= first.size.Updates
	b.size.Bytes -= first.size.Bytes
	return first
}

// Skip drops the batches before next, which are done already.
//
// Errors: ErrOverlap if a batch lies on both sides of next.
func (b *Buffer[T]) Skip(next frontier.Antichain) error {
	for len(b.held) > 0 && b.held[0].Lower.LessThan(next) {
		if next.LessThan(b.held[0].Upper) {
			return overlap(frontier.Description{Upper: next}, b.held[0].Description)
		}
		b.removeFirst()
	}
	return nil
}

// Missing returns an error that names the interval that the held batches wait for. It
// returns nil if no batch is held.
func (b *Buffer[T]) Missing(next frontier.Antichain) error {
	if len(b.held) == 0 {
		return nil
	}
	return fmt.Errorf("tidemark: %w: the input ended without [%s, %s), so %d batches after it were given up: a flow before has failed, or dropped it",
		ErrMissing, next, b.held[0].Lower, len(b.held))
}
