package source

import (
	"cmp"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/operators/internal/setting"
)

// Option changes how a source reads. Both New and NewBatches take it.
type Option interface {
	BatchOption
	apply(*options)
}

// BatchOption changes how a source of batches reads. NewBatches takes it, and New does
// not: what it sets has no meaning for single records. Every Option is one.
type BatchOption interface {
	applyToBatches(*batchOptions)
}

// options are those of both sources.
type options struct{ asOf frontier.Antichain }

// batchOptions are those of a source of batches.
type batchOptions struct {
	options
	from            frontier.Antichain
	maxPendingBytes int64
	maxBatch        bound
}

type option func(*options)

func (f option) apply(o *options)               { f(o) }
func (f option) applyToBatches(o *batchOptions) { f(&o.options) }

type batchOption func(*batchOptions)

func (f batchOption) applyToBatches(o *batchOptions) { f(o) }

// AsOf sets the time as of which the stream is read: earlier times are advanced to
// it. The default is {0}.
//
// A source that begins at {0} needs all of the history up to the as-of: the since of the
// stream (see Client.Description) must not be in advance of the as-of. A source of New
// always begins there. A source that goes on where a sink has stopped (From) needs the
// history from that place on, and no more. Its as-of is before that place, and the default
// is always right.
//
// The as-of may be in advance of the upper: data to come. A batch source emits nothing
// then until the upper has passed the as-of; one of record mode emits updates as ever, at
// the as-of.
//
// Batches carry the as-of, and a sink moves the since of its stream there. Records do not:
// a sink of records leaves the since of its stream behind, and that answers as of times
// before the as-of, as if there had been nothing. Move it by AllowCompaction.
//
// Errors: persist.ErrAsOfBeforeSince, and what From refuses.
func AsOf(t frontier.Antichain) Option { return option(func(o *options) { o.asOf = t }) }

// From sets the lower of a batch source's first batch: what lies before it is not
// emitted. Given the upper of the sink's stream, a pipeline goes on where it was
// stopped. The default is {0}.
//
// What it takes to go on from a time u after {0}, so that nothing is emitted twice or
// left out:
//
//   - The since of the stream is before u, not just at it: once times were advanced to the
//     since, what was there before can no longer be told from what came at it. So allow
//     compaction of the source's stream up to the time before the sink's upper at most.
//     Otherwise persist.ErrAsOfBeforeSince: begin again from {0}, with AsOf and an empty
//     sink.
//   - The as-of is before u, too: at or after u it would show there everything that the sink
//     has. Otherwise persist.ErrInvalid: leave AsOf away.
//   - The upper of the stream is not before u. Otherwise persist.ErrInvalid: the input was
//     begun again, or the sink is that of another input. Or the input is read by a follower
//     and no writer has opened it since a power cut: then open a writer first, since until
//     then the newest group may be hidden.
//
// docs/time.md has all combinations in a table. Records carry no progress, so a source of
// New cannot be resumed.
func From(lower frontier.Antichain) BatchOption {
	return batchOption(func(o *batchOptions) { o.from = lower })
}

// MaxPendingBytes bounds the memory of a batch source for updates that are not
// sealed yet, in bytes. When they exceed it the source forgets the latest times and reads
// them from the stream again when they are sealed: so many of them at once as fit, so that
// one read serves many seals. The since must not have passed them by then; it has not if
// compaction is allowed up to the time before the sink's upper at most. 0 means 32 MiB;
// less is refused.
func MaxPendingBytes(n int64) BatchOption {
	return batchOption(func(o *batchOptions) { o.maxPendingBytes = n })
}

// MaxBatchUpdates is the number of updates above which a batch source cuts what is there, be
// it stored history or seals that have come meanwhile, into batches of shorter intervals. A
// batch of one time is never split, and with an as-of all times up to it are one time. 0
// means 1<<16; less is refused.
//
// Four batches take a read of the history, whose rows are stored in the order of their keys:
// where memory allows, a larger number makes it faster.
func MaxBatchUpdates(n int) BatchOption {
	return batchOption(func(o *batchOptions) { o.maxBatch.updates = n })
}

// MaxBatchBytes is what MaxBatchUpdates is, in bytes of encoded keys and values, and 16 more
// for each update. 0 means 16 MiB; less is refused.
//
// It bounds the memory of a batch source for stored history. Four batches are read at once,
// but no more than have the bytes of two together, while as many that were read before are
// emitted: so the source holds four times MaxBatchBytes of encoded updates, or twice the
// largest of all times if that is more, decoded: as many bytes as their Go values take. Of
// new updates it holds MaxPendingBytes, and a batch.
func MaxBatchBytes(n int64) BatchOption {
	return batchOption(func(o *batchOptions) { o.maxBatch.bytes = n })
}

func optionsOf(opts []Option) options {
	var o options
	for _, opt := range opts {
		opt.apply(&o)
	}
	return o
}

// batchOptionsOf returns the options with defaults filled in, or why they are refused.
func batchOptionsOf(opts []BatchOption) (batchOptions, error) {
	var o batchOptions
	for _, opt := range opts {
		opt.applyToBatches(&o)
	}
	return o, cmp.Or(
		setting.OrDefault("source.MaxPendingBytes", &o.maxPendingBytes, 32<<20),
		setting.OrDefault("source.MaxBatchUpdates", &o.maxBatch.updates, 1<<16),
		setting.OrDefault("source.MaxBatchBytes", &o.maxBatch.bytes, 16<<20),
	)
}
