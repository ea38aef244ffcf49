package source

import (
	"context"
	"errors"

	"github.com/tidemark-go/tidemark/persist"
)

// Positions returns how many times the source has read the stream from a snapshot on.
func (s *BatchSource[K, V]) Positions() int { return int(s.positions.Load()) }

// Released reports whether the source has let go of the stream.
func (s *Source[K, V]) Released(ctx context.Context) bool {
	_, err := s.position.listener.Next(ctx)
	for _, readErr := range s.position.snapshot.All(ctx) {
		return errors.Is(err, persist.ErrClosed) && errors.Is(readErr, persist.ErrClosed)
	}
	return false
}
