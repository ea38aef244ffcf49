package sink

import (
	"context"
	"fmt"
	"time"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/internal/edge"
	"github.com/tidemark-go/tidemark/operators/internal/order"
	"github.com/tidemark-go/tidemark/operators/internal/weight"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// writer is the state of a sink's goroutine: what was received and not sent, and what is on
// its way.
//
//	In -> records or held -> flight -> durable
//
// Futures settle in the order of flight. Records and batches are never on their way
// together: a seal must not overtake a record.
type writer[K, V any] struct {
	*Sink[K, V]
	open   bool
	flight []flying[K, V]

	acks acks

	records records[K, V]
	again   []records[K, V] // to be written again: refused as a whole, or without effect

	held   *order.Buffer[operators.Batch[K, V]]
	pace   *order.Pace
	weigh  *weight.Updates[K, V]
	flying int64              // bytes in flight
	upper  frontier.Antichain // of the stream: only this sink moves it
	next   frontier.Antichain // the upper after what is in flight
	chain  persist.Chain      // the batches in flight

	since     frontier.Antichain // of the stream, as far as is known
	nextSince frontier.Antichain // the since after what is in flight

	alone     *persist.MultiWriteHandle // of the stream alone
	large     *operators.Batch[K, V]    // to be written when nothing is in flight
	oversized frontier.Antichain        // upper of the batch that was refused for its size, or {0}
	side      *side                     // once it was opened

	rewind bool // a batch went back to held: next is upper once nothing is in flight

	incomplete bool // an element failed: batches that come after it are not taken
	attempts   int  // retries in a row
	retry      <-chan time.Time
	outage     *persist.Outage // nil if there is none
}

// flying is a command on its way: a batch or records.
type flying[K, V any] struct {
	future  *persist.Future[storage.SeqNo]
	batch   *operators.Batch[K, V]
	records records[K, V]
	bytes   int64 // about, in memory
}

func newWriter[K, V any](s *Sink[K, V]) *writer[K, V] {
	return &writer[K, V]{
		Sink: s, open: true,
		held:  order.NewBuffer[operators.Batch[K, V]](s.opts.limits),
		pace:  order.NewPace(s.opts.limits),
		weigh: weight.NewUpdates[K, V](),
		acks:  acks{call: s.opts.acknowledge, limits: s.opts.limits},
	}
}

// run returns nil when the input was closed and everything has settled, or else the fatal
// error.
func (w *writer[K, V]) run() (err error) {
	defer func() {
		w.pace.Stop()
		if r := recover(); r != nil { // a codec has panicked
			err = edge.PanicError(r)
		}
		if w.outage != nil {
			w.outage.End(err)
		}
	}()
	if w.start == nil {
		if err := w.begin(); err != nil {
			return err
		}
	}
	if w.alone, err = persist.NewMultiWriteHandle(w.write); err != nil {
		return err
	}
	w.learn(w.start.Upper)
	w.since, w.nextSince = w.start.Since, w.start.Since
	if err := w.recoverParts(); err != nil {
		return err
	}
	w.chain = w.newChain()
	for {
		if err := w.submit(); err != nil {
			return err
		}
		if !w.open && len(w.flight) == 0 && w.retry == nil {
			break
		}
		in, wake := w.input()
		var settled <-chan struct{}
		if len(w.flight) > 0 {
			settled = w.flight[0].future.Done()
		}
		select {
		case element, open := <-in:
			if w.open = open; open {
				err = w.receive(element)
			} else {
				err = context.Cause(w.ctx) // the end of the context may be why the input was closed
			}
		case <-settled:
			err = w.settle()
		case <-wake:
			w.pace.Woken()
		case <-w.retry:
			w.retry = nil
		case <-w.calm():
			w.endIfOver()
		case <-w.ctx.Done():
			err = context.Cause(w.ctx)
		}
		if err != nil {
			return err
		}
		w.acks.tell(w.upper)
	}
	//museum:seal-on-close
	if w.incomplete {
		return nil // Err has the errors, which say why batches were left
	}
	return w.held.Missing(w.next)
}

// input returns where to receive from (nil for nowhere), and what wakes the pace.
func (w *writer[K, V]) input() (in <-chan any, wake <-chan time.Time) {
	if !w.hasRoom() {
		return nil, nil
	}
	waits := w.held.Over() || w.acks.over()
	if waits && (w.held.Has(w.next) || len(w.flight) > 0) {
		return nil, nil // what is in flight will make room
	}
	receive, wake := w.pace.Next(waits, w.next)
	if receive {
		in = w.in.C
	}
	return in, wake
}

// hasRoom says whether the sink may receive more.
func (w *writer[K, V]) hasRoom() bool {
	return w.open && w.retry == nil && !w.rewind && w.large == nil && len(w.again) == 0 && !w.full() && !w.records.full()
}

// full says that no more may be in flight.
func (w *writer[K, V]) full() bool {
	return len(w.flight) >= w.opts.inFlight || w.flying >= w.opts.limits.Bytes
}

func (w *writer[K, V]) fly(f flying[K, V]) {
	w.flight = append(w.flight, f)
	w.flying += f.bytes
}

func (w *writer[K, V]) receive(element any) error {
	w.pace.Received()
	a := w.acks.take(element)
	switch e := element.(type) {
	case persist.Update[K, V]:
		w.addRecord(a, e)
	case []persist.Update[K, V]:
		if len(e) == 0 {
			a.answer(nil)
			return nil
		}
		w.addRecord(a, e...)
	case operators.Result[K, V]:
		if e.Err != nil {
			w.fault(a, operators.Error{Err: e.Err, Time: e.Time, Diff: e.Diff})
		} else {
			w.addRecord(a, e.Update)
		}
	case operators.Error:
		w.fault(a, e)
	case operators.Batch[K, V]:
		return w.receiveBatch(a, e)
	default:
		w.fault(a, edge.ForeignElement(element, fmt.Sprintf("%T or %T", operators.Result[K, V]{}, operators.Batch[K, V]{})))
	}
	return nil
}

// fault records an element that failed.
func (w *writer[K, V]) fault(a *ack, err error) {
	w.addErr(err)
	a.answer(err)
	w.incomplete = true
}

// submit sends what can be sent.
func (w *writer[K, V]) submit() error {
	if w.retry != nil {
		return nil
	}
	w.submitRecords()
	if w.rewind {
		if len(w.flight) > 0 {
			return nil
		}
		w.rewind, w.next, w.nextSince, w.chain = false, w.upper, w.since, w.newChain()
		if b := w.large; b != nil {
			w.large = nil
			if err := w.putBack(*b, w.weigh.Of(b.Updates)); err != nil {
				return err
			}
			w.rewind = false
		}
		if err := w.held.Skip(w.next); err != nil {
			return err
		}
	}
	if !w.records.empty() || len(w.again) > 0 || w.flyingRecords() {
		return nil
	}
	for !w.full() {
		if w.large != nil {
			if len(w.flight) > 0 {
				return nil
			}
			b := *w.large
			w.large = nil
			if err := w.submitLarge(b); err != nil {
				return err
			}
			w.chain = w.newChain()
		}
		b, size, ok := w.held.Take(w.next)
		if !ok {
			return nil
		}
		if size.Bytes > w.commandBytes() || b.Upper == w.oversized {
			w.large, w.next = &b, b.Upper
			continue
		}
		w.fly(flying[K, V]{future: w.append(b), batch: &b, bytes: size.Bytes})
		//museum:progress-when-sent
		w.next = b.Upper
	}
	return nil
}

func (w *writer[K, V]) flyingRecords() bool { return len(w.flight) > 0 && w.flight[0].batch == nil }

// settle takes in the answer to the oldest command on its way.
func (w *writer[K, V]) settle() error {
	f := w.flight[0]
	w.flight[0] = flying[K, V]{}
	w.flight = w.flight[1:]
	w.flying -= f.bytes
	_, err := f.future.Wait(w.ctx)
	if err == nil {
		w.recovered()
	}
	if f.batch != nil {
		return w.settleBatch(*f.batch, f.bytes, err)
	}
	return w.settleRecords(f.records, err)
}

// settleAll waits for what is on its way after a fatal error, so that the probe tells all
// that is durable. Errors among the answers follow from the fatal error, so it ignores
// them.
func (w *writer[K, V]) settleAll() {
	for _, f := range w.flight {
		_, err := f.future.Wait(w.ctx)
		switch {
		case err != nil:
		case f.batch != nil:
			w.learn(f.batch.Upper)
		default:
			f.records.answer(nil)
		}
	}
}
