// Package tidemarktest puts a Tidemark store, or a pipeline of yours on one, to the
// test: random histories in which everything happens that may happen, held against a
// model that is too simple to be wrong.
//
// # A pipeline
//
// Say what it reads and writes, how it is run, and what it has to compute, as a plain
// function. [RunPipeline] writes input, seals and compacts it, and meanwhile cancels
// the pipeline, stops the runtime, crashes the store and takes the storage away. At
// every time that the output is sealed beyond, its contents have to be what the
// function says, each row once.
//
//	func TestLoud(t *testing.T) {
//		for seed := range tidemarktest.Seeds(50) {
//			tidemarktest.RunPipeline(t, tidemarktest.Memory(), loud, tidemarktest.Options{Seed: seed})
//		}
//	}
//
// What it finds are the mistakes that a test of one run does not: resuming one time
// too early or too late, a batch that is lost with a restart, a seal because a channel
// was closed, an error that is taken for an end.
//
// # A store
//
// [Run] gives a [Store] requests of all kinds: writes to one and to several streams,
// compare-and-append, seals, compaction, destroys; snapshots that are read later;
// listeners that pause; readers beside the writer; stops, outages, lost answers and
// crashes. Up to 32 are without an answer at any time, so that failures interleave.
// Afterwards [Model] decides:
//
//   - What was acknowledged took effect, in the order of the calls. What was refused
//     is refused by the model too, for the same reason.
//   - What failed with an unknown outcome happened or did not, as a whole, and of
//     several the first ones did: the next opening decides.
//   - What failed without effect did so while the storage was down, and while it was
//     down nothing was acknowledged.
//   - A snapshot is the model at its SeqNo, which lies between what had been called
//     when it was asked for and what had when it came.
//   - A listener hears every event after its snapshot once, in order, and all of them
//     soon after they were acknowledged.
//   - Every request is answered, and in the end writing works and an opening finds
//     what there was.
//
// A [Report] says whether a number of histories did enough to mean anything.
//
// # Seeds
//
// Everything follows from [Options.Seed]. A failure prints it, in a command that
// repeats it: the variable TIDEMARK_SEED of the environment comes before the option.
// Seeds that count up from 1 make a test whose verdict depends on the code alone
// ([Seeds]); for a longer search let them begin elsewhere. Where time is virtual
// ([Store.Virtual]) the same seed gives the same history in every detail, but for what
// can be read while the storage is down, which depends on what a cache has kept.
package tidemarktest
