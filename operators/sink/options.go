package sink

import (
	"time"

	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/internal/order"
)

// Option changes how a sink writes.
type Option func(*options)

type options struct {
	limits      order.Limits
	inFlight    int
	acknowledge func(element any, err error)
	partBytes   int64
	retries     int
	backoff     time.Duration
}

// HoldBack bounds the batches that the sink holds back while one before them has
// not come. When they exceed it, the sink makes its upstream wait: see operators.Limits,
// which also has the defaults. Bytes bounds what is on its way to the log at once, too.
func HoldBack(limits operators.Limits) Option {
	return func(o *options) { o.limits = order.Limits(limits) }
}

// InFlight bounds the commands that are on their way to the log at once. The
// default, for 0 or less, is 64.
func InFlight(n int) Option { return func(o *options) { o.inFlight = n } }

// Retry sets how often, in a row, the sink tries again after the storage has
// refused a command without effect, and how long it waits before the first time; it
// waits twice as long each time after that, and 5s at most, or as long as the first time.
// 0 times: never; below 0: for as long as its context lives. That is the default, from
// 10ms on. An outage has a line in the log of the runtime at its beginning and one at its
// end, and is in the metric tidemark_sink_outages. It is over when all commands have taken
// effect for 5s; the times in a row begin again with the first one that has.
func Retry(times int, wait time.Duration) Option {
	return func(o *options) { o.retries, o.backoff = times, wait }
}

// Acknowledge sets a function that is called once with each element that the sink has
// received, in the order of receipt, batches as well: with nil when it is durable, or was
// before; with the reason if it was refused for good. So all that came before an element
// is settled, too, and an offset of a queue may be committed with it.
//
// It is called by the sink's goroutine, which does nothing else meanwhile; a panic ends
// the sink. When the sink ends for an error the elements that were not answered get that
// error: with persist.ErrOutcomeUnknown or the context's it may be durable all the same.
// All calls are over when AwaitCompletion returns; what is discarded afterwards is not
// acknowledged.
//
// An element that takes long, such as a batch that comes long before the one it continues,
// holds up the answers of those behind it: when these exceed the Updates or Bytes of
// HoldBack, the sink makes its upstream wait.
func Acknowledge(f func(element any, err error)) Option {
	return func(o *options) { o.acknowledge = f }
}

// PartBytes is the size, encoded, of the commands into which a batch is cut that is larger
// than a command may be: it takes more than half of Config.MaxTailBytes. The default, for 0
// or less, is 4 MiB; it is never more than an eighth of MaxTailBytes. While such a batch is
// written the sink holds it and about six times so much. How it is cut, and what a kill
// leaves, is in docs/parts.md.
func PartBytes(n int64) Option { return func(o *options) { o.partBytes = n } }

func optionsOf(opts []Option) options {
	o := options{retries: -1}
	for _, opt := range opts {
		opt(&o)
	}
	o.limits = o.limits.OrDefault()
	if o.inFlight <= 0 {
		o.inFlight = 64
	}
	if o.partBytes <= 0 {
		o.partBytes = 4 << 20
	}
	if o.backoff <= 0 {
		o.backoff = 10 * time.Millisecond
	}
	return o
}
