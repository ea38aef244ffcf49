// Package operators connects Tidemark's streams to pipelines of go-streams. It has the
// elements that flow, the split of updates and errors, probes, and flows that keep what a
// pipeline must not lose. Sources are in operators/source, sinks in operators/sink.
//
// # Two modes
//
// In record mode, a source emits single updates as soon as they are durable, sealed or not
// ([Result]). The elements do not say what is complete: the source's [Probe] does.
//
// In batch mode, a source emits a [Batch] for every advance of the stream's upper. A batch
// is all updates of an interval of times, and carries that interval. So flows may work on
// several batches at once, and pass them on in any order. A sink puts the batches in order,
// and writes and seals each one in one atomic command, or in several if the batch is larger
// than a command. If the source starts at the sink's upper, the pipeline may be stopped or
// killed at any moment: it still writes every update exactly once.
//
//	source.NewBatches -- any flow on batches, parallel or not -- sink.New
//
// One source may feed several sinks, over flow.FanOut. A kill may find the sinks at
// different times. So the source starts at the least of their uppers, which [Resume]
// returns, and each sink drops what its stream already has.
//
// # Errors and ends
//
// Errors are values. In record mode they are elements ([SplitOkErr]). In batch mode there
// are an [ErrSide] and Err. Bad input, such as a foreign element, is an error and never a
// panic.
//
// A closed channel does not say why it was closed: a stream may be finished, a runtime
// stopped, or a context cancelled. So no operator seals anything because a channel was
// closed, and none seals over an interval that is missing. Probes and Err tell how an
// operator has ended. [Cause] tells which error of a pipeline was the first. The others
// follow from that error, context.Canceled among them.
//
// # Wiring
//
// An operator starts to work when it is wired. An operator that is not wired has no
// goroutine. An outlet takes one consumer: copy with flow.FanOut. An inlet takes one
// upstream: join records with flow.Merge. All goroutines of an operator end with the
// stream, at an error, or with the context that the operator was built with. When that
// context ends they end at once, even if nobody takes what they send. After that, a flow or
// a sink only discards what its upstream still sends, until the upstream closes the inlet.
//
// To blocks until the source has ended. A source of an unfinished stream goes on after its
// sink has failed. So watch the sink's Done, and cancel the source's context.
//
// # Options
//
// One rule holds for the number that an option or a field of a Config sets:
//
//   - 0 means the default.
//   - A number below 0 means none (no limit, never, no retry) where its doc says so.
//     Everywhere else it is refused with persist.ErrInvalid: a runtime does not open, and
//     an operator ends with the error.
//
// # Among operators of go-streams
//
// Tidemark cannot catch these mistakes:
//
//   - Do not merge batches of different streams, or of two sources, into one operator. A
//     batch says which times it covers, and not of which stream. So the operator takes the
//     second batch with the same times for a repetition, and drops it. Write the batches of
//     each source to a stream of their own.
//   - Do not put windows, Reduce or Fold around batches, nor a filter that drops some. A
//     sink never seals over a missing batch, so it stops there. A window over the times of
//     updates is a function of a batch (MapBatches).
//   - Do not change what an element refers to once the element was sent: FanOut gives the
//     same slices to all branches. Copy the slices in the branch that changes them.
//   - A typed flow of go-streams panics for an element of another type, or nil. A flow also
//     panics if it sends to an inlet that another upstream has closed. Such a panic ends
//     the process. SplitOkErr and sinks take any element, and say what is wrong with it. An
//     inlet or a sink serves one pipeline.
//   - A flow.Throttler limits through its Via alone. SplitOkErr, Split, FanOut and Merge
//     read its Out: put a flow.PassThrough between the Throttler and these.
//   - To acknowledge upstream, use sink.Acknowledge: it tells when each element is durable.
//     For batches, the sink's Probe tells it too. AwaitCompletion of other sinks may return
//     before anything was done. The Probe of our sources says only what was taken.
package operators
