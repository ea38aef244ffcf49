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

// BatchOption changes how a source of batches reads. NewBatches takes it. New does not:
// what it sets has no meaning for single records. Every Option is a BatchOption.
type BatchOption interface {
	applyToBatches(*batchOptions)
}

// options has the options of both kinds of source.
type options struct{ asOf frontier.Antichain }

// batchOptions has the options of a source of batches.
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

// AsOf sets the time as of which the stream is read: earlier times are advanced to it. The
// default is {0}.
//
// A source that begins at {0} needs all history up to the as-of: the since of the stream
// (see Client.Description) must not be in advance of the as-of. A source of New always
// begins at {0}. A source that goes on where a sink has stopped (From) needs only the
// history from there on. Its as-of must be before that place, so the default is always
// right.
//
// The as-of may be in advance of the upper. A batch source then emits nothing until the
// upper has passed the as-of. A source in record mode emits updates as ever, at the as-of.
//
// Batches carry the as-of, and a sink moves the since of its stream to it. Records do not
// carry it, and a sink of records leaves the since of its stream where it is. That stream
// then answers reads as of times before the as-of, as if there had been nothing. Move its
// since by AllowCompaction.
//
// Errors: persist.ErrAsOfBeforeSince, and what From refuses.
func AsOf(t frontier.Antichain) Option { return option(func(o *options) { o.asOf = t }) }

// From sets the lower of a batch source's first batch: what lies before it is not emitted.
// Give it the upper of the sink's stream, and the pipeline goes on where it was stopped.
// The default is {0}.
//
// To go on from a time u after {0}, three things must hold. Otherwise something would be
// emitted twice or left out:
//
//   - The since of the stream is before u, not just at it. Once times were advanced to the
//     since, what was there before can no longer be told from what came at it. So allow
//     compaction of the source's stream at most up to the time before the sink's upper. The
//     error is persist.ErrAsOfBeforeSince: begin again from {0}, with AsOf and an empty
//     sink.
//   - The as-of is before u, too. At an as-of of u or later, the source would emit
//     everything that the sink already has. The error is persist.ErrInvalid: leave AsOf
//     away.
//   - The upper of the stream is not before u. The error is persist.ErrInvalid: the input
//     was begun again, or the sink is that of another input. There is one exception: a
//     follower reads the input, and no writer has opened the location since a power cut.
//     Until a writer opens it, the newest group may be hidden. So open a writer first.
//
// docs/time.md has all combinations in a table. Records carry no progress, so a source of
// New cannot be resumed.
func From(lower frontier.Antichain) BatchOption {
	return batchOption(func(o *batchOptions) { o.from = lower })
}

// MaxPendingBytes bounds the memory of a batch source for updates that are not sealed yet,
// in bytes. When they exceed it, the source forgets the latest times. When those are
// sealed, it reads them from the stream again: as many of them at once as fit, so that one
// read serves many seals. The since must not have passed them by then. It has not, if
// compaction is allowed at most up to the time before the sink's upper. 0 means 32 MiB. A
// number below 0 is refused.
func MaxPendingBytes(n int64) BatchOption {
	return batchOption(func(o *batchOptions) { o.maxPendingBytes = n })
}

// MaxBatchUpdates is the number of updates above which a batch source cuts what is there
// into batches of shorter intervals: stored history, or seals that have come while the
// consumer was busy. A batch of one time is never split. With an as-of, all times up to the
// as-of are one time. 0 means 1<<16. A number below 0 is refused.
//
// Rows of the history are stored in the order of their keys, and each read of the history
// gives four batches. So a larger number makes fewer reads, where memory allows.
func MaxBatchUpdates(n int) BatchOption {
	return batchOption(func(o *batchOptions) { o.maxBatch.updates = n })
}

// MaxBatchBytes is as MaxBatchUpdates, but in bytes: those of encoded keys and values, and
// 16 for each update. 0 means 16 MiB. A number below 0 is refused.
//
// It bounds the memory of a batch source for stored history. One read gives up to four
// batches, but not more than have twice MaxBatchBytes together. Meanwhile as many batches
// of the read before are emitted. So the source holds four times MaxBatchBytes of encoded
// updates, or twice the largest of all times if that is more. These updates are decoded, so
// they take as many bytes as their Go values take. Of new updates, the source holds
// MaxPendingBytes and a batch.
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
