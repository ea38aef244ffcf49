package sink

import (
	"cmp"
	"time"

	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/internal/order"
	"github.com/tidemark-go/tidemark/operators/internal/setting"
)

// Option changes how a sink writes.
type Option func(*options)

type options struct {
	limits      order.Limits
	inFlight    int
	acknowledge func(element any, err error)
	partBytes   int64
	retries     int // 0: as often as it takes; below 0: never
	backoff     time.Duration
}

// HoldBack bounds the batches that the sink holds back while one before them has
// not come. When they exceed it, the sink makes its upstream wait: see operators.Limits,
// which also has the defaults. Bytes bounds what is on its way to the log at once, too.
func HoldBack(limits operators.Limits) Option {
	return func(o *options) { o.limits = order.Limits(limits) }
}

// InFlight bounds the commands that are on their way to the log at once. 0 means 64; less
// is refused.
func InFlight(n int) Option { return func(o *options) { o.inFlight = n } }

// Retry sets how often, in a row, the sink tries again after the storage has refused a
// command without effect, and how long it waits before the first time. times 0 means for
// as long as the context of the sink lives; below 0 it never tries again. wait 0 means
// 10ms; less is refused. The sink waits twice as long each time after the first, and 5s at
// most, or as long as the first time.
//
// An outage has a line in the log of the runtime at its beginning and one at its end, and
// is in the metric tidemark_sink_outages. It is over when all commands have taken effect
// for 5s; the times in a row begin again with the first one that has.
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
// than a command may be: it takes more than half of Config.MaxTailBytes. 0 means 4 MiB; less
// is refused. It is never more than an eighth of MaxTailBytes. While such a batch is
// written the sink holds it and about six times so much. How it is cut, and what a kill
// leaves, is in docs/parts.md.
func PartBytes(n int64) Option { return func(o *options) { o.partBytes = n } }

// optionsOf returns the options with defaults filled in, or why they are refused.
func optionsOf(opts []Option) (options, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	var err error
	o.limits, err = o.limits.OrDefault()
	return o, cmp.Or(err,
		setting.OrDefault("sink.InFlight", &o.inFlight, 64),
		setting.OrDefault("sink.PartBytes", &o.partBytes, 4<<20),
		setting.OrDefault("the wait of sink.Retry", &o.backoff, 10*time.Millisecond),
	)
}
