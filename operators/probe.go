package operators

import (
	"context"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/operators/internal/progress"
)

// Probe tells how far an operator has come. Sources and sinks have one. Any number of
// goroutines may use it at once.
type Probe progress.Probe

func (p *Probe) inner() *progress.Probe { return (*progress.Probe)(p) }

// Frontier returns how far the operator has come: everything before it is done.
func (p *Probe) Frontier() frontier.Antichain { return p.inner().Frontier() }

// LessThan reports whether some time less than t may still come.
func (p *Probe) LessThan(t uint64) bool { return p.inner().LessThan(t) }

// Wait blocks until no time less than t may come any more.
//
// Errors: the operator's own error if the operator has ended before that, or ErrEnded if it
// has none; the context's.
func (p *Probe) Wait(ctx context.Context, t uint64) error { return p.inner().Wait(ctx, t) }

// Done is closed when the operator has ended: finished, failed or cancelled.
func (p *Probe) Done() <-chan struct{} { return p.inner().Done() }

// Err returns why the operator has ended. It returns nil while the operator works, and
// after it has finished without an error.
func (p *Probe) Err() error { return p.inner().Err() }
