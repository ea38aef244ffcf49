package operators

import (
	"context"
	"fmt"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
)

// Output is a stream that a sink of the pipeline writes to: its *persist.WriteHandle or
// *persist.ReadHandle.
type Output interface {
	Description(ctx context.Context) (frontier.Description, error)
}

// Resume returns where the source of a pipeline must start after the pipeline was stopped
// or killed: at the least upper of the pipeline's outputs. Give the result to source.From.
// A sink whose stream is further drops what the stream already has.
//
// Errors: persist.ErrInvalid without outputs; those of WriteHandle.Description.
func Resume(ctx context.Context, outputs ...Output) (frontier.Antichain, error) {
	if len(outputs) == 0 {
		return frontier.Antichain{}, fmt.Errorf("tidemark: %w: resume without outputs: name the streams that the sinks write to", persist.ErrInvalid)
	}
	least := frontier.Empty()
	for _, o := range outputs {
		d, err := o.Description(ctx)
		if err != nil {
			return frontier.Antichain{}, err
		}
		least = least.Meet(d.Upper)
	}
	return least, nil
}
