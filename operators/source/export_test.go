package source

import (
	"context"
	"errors"

	"github.com/tidemark-go/tidemark/persist"
)

// Released reports whether the source has let go of the stream.
func (s *Source[K, V]) Released(ctx context.Context) bool {
	_, err := s.position.listener.Next(ctx)
	for _, readErr := range s.position.snapshot.All(ctx) {
		return errors.Is(err, persist.ErrClosed) && errors.Is(readErr, persist.ErrClosed)
	}
	return false
}
