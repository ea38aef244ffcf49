// Package tidemarktest tests a Tidemark store, or a pipeline of yours on one. It makes
// random histories in which everything happens that may happen, and compares them with a
// model that is too simple to be wrong.
//
// # A pipeline
//
// Say what the pipeline reads and writes, and how it is run. Say what it has to compute, as
// a plain function. [RunPipeline] writes input, seals and compacts it. Meanwhile it cancels
// the pipeline, stops the runtime, crashes the store and takes the storage away. At every
// time that the output is sealed beyond, its contents must be what the function says, each
// row once.
//
//	func TestLoud(t *testing.T) {
//		for seed := range tidemarktest.Seeds(50) {
//			tidemarktest.RunPipeline(t, tidemarktest.Memory(), loud, tidemarktest.Options{Seed: seed})
//		}
//	}
//
// It finds mistakes that a test of one run does not find: a pipeline resumes one time too
// early or too late, a batch is lost with a restart, a time is sealed because a channel was
// closed, an error is taken for an end.
//
// # A store
//
// [Run] gives a [Store] requests of all kinds: writes to one and to several streams,
// compare-and-append, seals, compaction, destroys; snapshots that are read later; listeners
// that pause; readers beside the writer; stops, outages, lost answers and crashes. Up to 32
// requests are without an answer at any time, so that failures interleave. Afterwards
// [Model] decides:
//
//   - A command that was acknowledged took effect, in the order of the calls. If a command
//     was refused, the model refuses it too, for the same reason.
//   - A command that failed with an unknown outcome happened or did not, as a whole. Of
//     several such commands the first ones happened: the next opening decides how many.
//   - A command failed without effect only while the storage was down. While the storage
//     was down, nothing was acknowledged.
//   - A snapshot is the model at the snapshot's SeqNo. That SeqNo lies between the calls
//     made before the snapshot was asked for, and those made before it came.
//   - A listener hears every event after its snapshot once, in order, and soon after the
//     event was acknowledged.
//   - Every request is answered. In the end writing works, and an opening finds what there
//     was.
//
// A [Report] says whether a number of histories did enough to mean anything.
//
// # Seeds
//
// Everything follows from [Options.Seed]. A failure prints the seed, in a command that
// repeats it: the variable TIDEMARK_SEED of the environment comes before the option. Seeds
// that count up from 1 make a test whose verdict depends on the code alone ([Seeds]). For a
// longer search, begin elsewhere.
//
// Where time is virtual ([Store.Virtual]), the same seed gives the same history in every
// detail. There is one exception: what can be read while the storage is down depends on
// what a cache has kept.
package tidemarktest
