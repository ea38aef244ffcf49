package source

import "github.com/tidemark-go/tidemark/frontier"

// Option changes how a source reads.
type Option func(*options)

type options struct {
	asOf            frontier.Antichain
	from            frontier.Antichain
	maxPendingBytes int64
	maxBatch        bound
}

// AsOf sets the time as of which the stream is read: earlier times are advanced to
// it. The default is {0}.
//
// A source that begins at {0}, as one of record mode always does, needs all of the
// history up to the as-of: the since of the stream (see Client.Description) must not be in
// advance of it. One that goes on where a sink has stopped (From) does not: it takes an
// as-of before that place, and the default is always right.
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
func AsOf(t frontier.Antichain) Option { return func(o *options) { o.asOf = t } }

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
// docs/time.md has all combinations in a table. A source in record mode has no batches and
// cannot be resumed; with this option it emits an error that matches persist.ErrInvalid.
func From(lower frontier.Antichain) Option { return func(o *options) { o.from = lower } }

// MaxPendingBytes bounds the memory of a batch source for updates that are not
// sealed yet, in bytes. When they exceed it the source forgets the latest times and reads
// them from the stream again when they are sealed: so many of them at once as fit, so that
// one read serves many seals. The since must not have passed them by then; it has not if
// compaction is allowed up to the time before the sink's upper at most. The default, for 0
// or less, is 32 MiB.
func MaxPendingBytes(n int64) Option { return func(o *options) { o.maxPendingBytes = n } }

// MaxBatchUpdates is the number of updates above which a batch source cuts what is there, be
// it stored history or seals that have come meanwhile, into batches of shorter intervals. A
// batch of one time is never split, and with an as-of all times up to it are one time. The
// default, for 0 or less, is 1<<16.
//
// Four batches take a read of the history, whose rows are stored in the order of their keys:
// where memory allows, a larger number makes it faster.
func MaxBatchUpdates(n int) Option { return func(o *options) { o.maxBatch.updates = n } }

// MaxBatchBytes is what MaxBatchUpdates is, in bytes of encoded keys and values, and 16 more
// for each update. The default, for 0 or less, is 16 MiB.
//
// It bounds the memory of a batch source for stored history. Four batches are read at once,
// but no more than have the bytes of two together, while as many that were read before are
// emitted: so the source holds four times MaxBatchBytes of encoded updates, or twice the
// largest of all times if that is more, decoded: as many bytes as their Go values take. Of
// new updates it holds MaxPendingBytes, and a batch.
func MaxBatchBytes(n int64) Option { return func(o *options) { o.maxBatch.bytes = n } }

func optionsOf(opts []Option) options {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	if o.maxPendingBytes <= 0 {
		o.maxPendingBytes = 32 << 20
	}
	if o.maxBatch.updates <= 0 {
		o.maxBatch.updates = 1 << 16
	}
	if o.maxBatch.bytes <= 0 {
		o.maxBatch.bytes = 16 << 20
	}
	return o
}
