package operators

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/reugn/go-streams"

	"github.com/tidemark-go/tidemark/operators/internal/edge"
	"github.com/tidemark-go/tidemark/persist"
)

// Lifetime is implemented by all our outlets. An operator that follows an outlet gives up
// its sends when Done is closed: the context that the outlet was built with has ended. A
// nil Done never closes.
type Lifetime interface{ Done() <-chan struct{} }

// SplitOkErr splits a stream of Result into its updates and its errors.
//
//	in   -- r1 -- e1 -- r2 -- e2 -- r3 --
//
//	ok   -- u1 -------- u2 -------- u3 --     persist.Update[K, V]
//
//	errs -------- e1 -------- e2 --------     Error
//
// An element of another type, or nil, becomes an Error that matches ErrForeignElement, at
// time 0. A persist.Update or an Error is passed on as it is.
//
// The err side never holds up the ok side: you may wire it late, read it slowly, or ignore
// it (see ErrSide). The ok side sets the pace: while an update is not taken, nothing behind
// it is read. So read ok first, or both at once.
//
// Each side takes one consumer. A second consumer of the ok side gets nothing, and an error
// that matches ErrConnected goes to the err side, unless that has closed. A second consumer
// of the err side gets that error itself.
//
// Work starts when either side is wired, and ends when the outlet closes. It also ends with
// the context of the outlet, if the outlet is one of ours (Lifetime). After an operator of
// another package, use SplitOkErrContext.
func SplitOkErr[K, V any](outlet streams.Outlet) (ok, errs streams.Flow) {
	var done <-chan struct{}
	if l, isOurs := outlet.(Lifetime); isOurs {
		done = l.Done()
	}
	return split[K, V](done, outlet)
}

// SplitOkErrContext is SplitOkErr with a context that ends both sides.
func SplitOkErrContext[K, V any](ctx context.Context, outlet streams.Outlet) (ok, errs streams.Flow) {
	return split[K, V](ctx.Done(), outlet)
}

const splitName = "split of ok and err"

// splitter owns pump, the goroutine that reads the outlet.
type splitter[K, V any] struct {
	upstream streams.Outlet
	done     <-chan struct{}
	ok       *edge.Outlet
	errs     *edge.Errors[Error]
	started  atomic.Bool
}

func split[K, V any](done <-chan struct{}, outlet streams.Outlet) (ok, errs streams.Flow) {
	s := &splitter[K, V]{upstream: outlet, done: done, errs: edge.NewErrors[Error](done, splitName)}
	s.ok = edge.NewOutlet(done, s.start, func() any {
		s.errs.Report(Error{Err: edge.ConnectedTwice(splitName), Diff: 1})
		return nil
	})
	return s.side(s.ok), s.side(s.errs)
}

// start starts the pump when the first side is wired.
func (s *splitter[K, V]) start() {
	if s.started.CompareAndSwap(false, true) {
		go s.pump()
	}
}

// pump ends when the upstream closes or the context ends. Only pump sends to the ok side.
func (s *splitter[K, V]) pump() {
	defer s.errs.Finish()
	defer s.ok.Close()
	in, err := s.open()
	if err != nil {
		s.errs.Report(Error{Err: err, Diff: 1})
		return
	}
	for {
		select {
		case element, open := <-in:
			if !open {
				return
			}
			if !s.pass(element) {
				// The inlet downstream is closed. Discard the rest, so that the upstream
				// ends.
				if err := s.ok.Err(); err != nil {
					s.errs.Report(Error{Err: err, Diff: 1})
					s.discard(in)
				}
				return
			}
		case <-s.done:
			return
		}
	}
}

// open asks the upstream for its channel. The upstream may be nil, or code that panics:
// then the panic becomes an error.
func (s *splitter[K, V]) open() (in <-chan any, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = edge.PanicError(r)
		}
	}()
	return s.upstream.Out(), nil
}

func (s *splitter[K, V]) pass(element any) bool {
	switch e := element.(type) {
	case Result[K, V]:
		if e.Err == nil {
			return s.ok.Send(e.Update)
		}
		s.errs.Report(Error{Err: e.Err, Time: e.Time, Diff: e.Diff})
	case persist.Update[K, V]:
		return s.ok.Send(e)
	case Error:
		s.errs.Report(e)
	default:
		s.errs.Report(Error{Err: edge.ForeignElement(element, typeName[Result[K, V]]()), Diff: 1})
	}
	return true
}

func (s *splitter[K, V]) discard(in <-chan any) {
	for {
		select {
		case _, open := <-in:
			if !open {
				return
			}
		case <-s.done:
			return
		}
	}
}

// wired is the outlet behind a side.
type wired interface {
	streams.Source
	Lifetime
	To(streams.Sink)
}

// side is one side of a split, as a flow.
type side struct {
	wired
	start func()
	in    *edge.Inlet
}

func (s *splitter[K, V]) side(outlet wired) streams.Flow {
	side := &side{wired: outlet, start: s.start}
	// go-streams has no type for an outlet with To. So a side has an inlet that nobody
	// should use: what is sent to it is discarded, and reported once.
	var once sync.Once
	side.in = edge.NewInlet(func() {
		for range side.in.C {
			once.Do(func() {
				s.errs.Report(Error{Err: fmt.Errorf("tidemark: %s: %w: its upstream is the outlet it was made of; merge with flow.Merge", splitName, ErrConnected), Diff: 1})
			})
		}
	})
	return side
}

func (s *side) In() chan<- any { return s.in.In() }

func (s *side) Out() <-chan any {
	s.start()
	return s.wired.Out()
}

func (s *side) Via(flow streams.Flow) streams.Flow {
	s.start()
	return s.wired.Via(flow)
}

func (s *side) To(sink streams.Sink) {
	s.start()
	s.wired.To(sink)
}
