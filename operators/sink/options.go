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

// HoldBack bounds the batches that the sink holds back while a batch before them has not
// come. When they exceed the limits, the sink makes its upstream wait: see
// operators.Limits, which also has the defaults. Bytes also bounds what is on its way to
// the log at once.
func HoldBack(limits operators.Limits) Option {
	return func(o *options) { o.limits = order.Limits(limits) }
}

// InFlight bounds the commands that are on their way to the log at once. 0 means 64. A
// number below 0 is refused.
func InFlight(n int) Option { return func(o *options) { o.inFlight = n } }

// Retry sets how often in a row the sink tries again after the storage has refused a
// command without effect, and how long it waits before the first retry.
//
//   - times: 0 means for as long as the context of the sink lives. A number below 0 means
//     never.
//   - wait: 0 means 10ms. A number below 0 is refused. Before each further retry the sink
//     waits twice as long, but at most 5s, or wait if that is more.
//
// The runtime logs a line at the beginning and at the end of an outage. The metric
// tidemark_sink_outages counts the sinks in an outage. The outage is over when all commands
// have taken effect for 5s. The retries in a row begin again with the first command that
// has taken effect.
func Retry(times int, wait time.Duration) Option {
	return func(o *options) { o.retries, o.backoff = times, wait }
}

// Acknowledge sets a function that the sink calls once with each element that it has
// received, batches as well, in the order of receipt. err is nil when the element is
// durable, or was durable before. Otherwise err is the reason why the element was refused
// for good. All elements before it are settled then, too. So an offset of a queue may be
// committed with the element.
//
// The sink's goroutine calls f, and does nothing else meanwhile. A panic of f ends the
// sink. When the sink ends with an error, the elements without an answer get that error.
// With persist.ErrOutcomeUnknown or the context's error, such an element may be durable all
// the same. All calls are over when AwaitCompletion returns. An element that is discarded
// afterwards is not acknowledged.
//
// An element that takes long holds up the answers for the elements behind it. An example is
// a batch that comes long before the batch that it continues. When the elements behind
// exceed the Updates or Bytes of HoldBack, the sink makes its upstream wait.
func Acknowledge(f func(element any, err error)) Option {
	return func(o *options) { o.acknowledge = f }
}

// PartBytes is the encoded size of the commands into which the sink cuts a batch that is
// larger than a command may be. Such a batch takes more than half of Config.MaxTailBytes. 0
// means 4 MiB. A number below 0 is refused. A part is never more than an eighth of
// MaxTailBytes. While the sink writes such a batch, it holds the batch and about six times
// PartBytes. docs/parts.md says how a batch is cut, and what a kill leaves.
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
