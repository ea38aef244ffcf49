// Package operators connects Tidemark's streams to pipelines of go-streams: the
// elements that flow, the split of updates and errors, probes, and flows that keep
// what a pipeline must not lose. Sources are in operators/source, sinks in
// operators/sink.
//
// # Two modes
//
// In record mode a source emits single updates, sealed or not, as soon as they are
// durable ([Result]). What is complete is not in the stream of elements: the
// source's [Probe] tells.
//
// In batch mode it emits a [Batch] for every advance of the stream's upper: all
// updates of an interval of times, with the interval. Batches carry their own
// progress, so flows may work on several at once and pass them on in any order; a
// sink puts them in order, and writes and seals each in one atomic command. With a
// source that starts at the sink's upper a pipeline can be stopped anywhere, killed
// as well, and writes every update exactly once.
//
//	source.NewBatches -- any flow on batches, parallel or not -- sink.New
//
// One source may feed several sinks, over flow.FanOut. They do not come equally far
// before a kill, so the source starts at the least of their uppers, which [Resume]
// returns, and each sink drops what its stream has already.
//
// # Errors and ends
//
// Errors are values: elements in record mode ([SplitOkErr]), an [ErrSide] and Err in
// batch mode. Bad input, a foreign element among it, is an error and never a panic.
//
// A channel that is closed says nothing about why: a stream may be finished, a
// runtime stopped, a context cancelled. So nothing is ever sealed because a channel
// was closed, and an interval that is missing is never sealed over. Probes and Err
// tell how an operator has ended, and [Cause] which of the errors of a pipeline was the
// first: the others follow from it, context.Canceled among them.
//
// # Wiring
//
// An operator starts to work when it is wired, and one that is not wired has no
// goroutine. Its outlet takes one consumer; copy with flow.FanOut. Its inlet takes
// one upstream; join records with flow.Merge. All goroutines end with the stream, at an
// error, or with the context that the operator was built with, then at once, also
// if nobody takes what they send.
//
// To blocks until the source has ended. A source of a stream that is not finished
// goes on although the sink has failed: watch the sink's Done, and cancel the
// source's context.
//
// # Options
//
// One rule holds for the number that an option or a field of a Config sets. 0 means the
// default. A number below 0 means none (no limit, never, no retry) where its doc says so.
// Everywhere else it is refused with persist.ErrInvalid: a runtime does not open, and an
// operator ends with the error.
//
// # Among operators of go-streams
//
// These mistakes are not ours to catch:
//
//   - Do not merge batches of different streams, or of two sources, into one
//     operator. A batch says which times it covers and not of what: the second one
//     with the same times is taken for a repetition, and dropped. Write each to a
//     stream of its own.
//   - Do not put windows, Reduce or Fold around batches, nor a filter that drops
//     some: a batch that is missing is never sealed over, so the sink stops there.
//     Windows over the times of updates are a function of a batch (MapBatches).
//   - Do not change what an element refers to once it was sent: FanOut gives the
//     same slices to all branches. Copy them in the branch that changes them.
//   - A typed flow of go-streams panics for an element of another type, or nil, and
//     so does one that sends to an inlet which another upstream has closed. That
//     ends the process. SplitOkErr and sinks take any element and say what is wrong;
//     an inlet, and a sink, serve one pipeline.
//   - A flow.Throttler limits through its Via alone: put a flow.PassThrough between
//     it and SplitOkErr, Split, FanOut or Merge, which read its Out.
//   - Acknowledge upstream by sink.Acknowledge, which tells of each element when it is
//     durable, or, for batches, by the sink's Probe. AwaitCompletion of other sinks may
//     return before anything was done, and our sources' Probe says only what was
//     taken.
package operators
