//go:build !race

// The race detector reports the mistake that this file makes, for what it is: two
// goroutines that send to one channel, and one of them closes it.

package operators_test

import (
	"context"
	"testing"

	"github.com/reugn/go-streams"
	"github.com/reugn/go-streams/flow"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/sink"
	"github.com/tidemark-go/tidemark/operators/source"
)

// Trap 3: one inlet, two upstreams. Whoever comes second finds it closed. That is an
// error and no panic, it holds up nobody, and what the first has closed is not
// complete for that.
func TestTrap03TwoUpstreamsOfOneInlet(t *testing.T) {
	inlets := map[string]func(t *testing.T, p *plant, to *sink.Sink[string, int]) streams.Inlet{
		"sink": func(_ *testing.T, _ *plant, to *sink.Sink[string, int]) streams.Inlet { return to },
		"flow": func(t *testing.T, _ *plant, to *sink.Sink[string, int]) streams.Inlet {
			f := identity(context.Background())
			go f.To(to)
			return f
		},
		"go-streams": func(_ *testing.T, _ *plant, to *sink.Sink[string, int]) streams.Inlet {
			f := flow.NewPassThrough()
			go f.To(to)
			return f
		},
	}
	for name, inlet := range inlets {
		t.Run(name, func(t *testing.T) {
			trap(t, func(t *testing.T, p *plant) {
				p.finish()
				to := p.sink(context.Background())
				shared := inlet(t, p, to)
				first, second := p.source(context.Background()), p.source(context.Background())
				wire := func(src *source.BatchSource[string, int]) { src.Via(asFlow{Inlet: shared}) }
				wire(first)
				wire(second)
				to.AwaitCompletion()
				<-first.Probe().Done()
				<-second.Probe().Done()
				// Whichever was faster has sent everything, and the other was stopped.
				failed := 0
				for _, src := range []*source.BatchSource[string, int]{first, second} {
					if err := src.Err(); err != nil {
						require.ErrorIs(t, err, operators.ErrInletClosed)
						failed++
					}
				}
				require.LessOrEqual(t, failed, 1)
				require.NoError(t, to.Err())
				p.requireSealed(t, frontier.Empty())
			})
		})
	}
}

// asFlow lends an inlet to Via.
type asFlow struct {
	streams.Inlet
	streams.Outlet
}

func (asFlow) Via(streams.Flow) streams.Flow { return nil }
func (asFlow) To(streams.Sink)               {}
