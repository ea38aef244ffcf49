package persist

import (
	"context"
	"fmt"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
)

// handle is what all handles of a stream have in common.
type handle struct {
	owned  *owned          // nil for the zero value of a handle
	writer *indexed.Engine // nil for handles of a read-only runtime
	name   string
	id     StreamID
	err    error // why the handle cannot be used; nil: it can
}

// usable returns the error that the handle carries, if any.
func (h *handle) usable() error {
	if h.err == nil && h.owned == nil {
		return fmt.Errorf("tidemark: %w: an empty handle: get one from CreateOrLoad or Load", ErrInvalid)
	}
	return h.err
}

func (h *handle) describe(ctx context.Context) (frontier.Description, error) {
	if err := h.usable(); err != nil {
		return frontier.Description{}, err
	}
	return h.owned.describe(ctx, h.name)
}

func (h *handle) engineID() indexed.StreamID { return indexed.StreamID(h.id) }

// shownName returns the name of the stream for metrics and messages.
func (h *handle) shownName() string { return indexed.ShownName(h.engineID(), h.name) }

func (h *handle) invalid(format string, args ...any) error {
	return &StreamError{Stream: h.name, Kind: ErrInvalid, Detail: fmt.Sprintf(format, args...)}
}
