// Package concurrent checks the promise of a snapshot and its tail while everything happens
// at once: many writers, many listeners that fall behind, go away and resume, compaction,
// restarts and crashes.
//
// # Check a store
//
// [Run] puts such a load on a store of your own, with your configuration. It fails the test
// if the clients did not see what was promised:
//
//	func TestMyStore(t *testing.T) {
//		dir := t.TempDir()
//		concurrent.Run(t, concurrent.Store{
//			Open:     func(ctx context.Context) (*persist.Client, error) { return file.Open(ctx, dir, myConfig) },
//			OpenRead: func(ctx context.Context) (*persist.ReadClient, error) { return file.OpenRead(ctx, dir, myConfig) },
//		}, concurrent.Options{Seed: 1})
//	}
//
// [Record] and [Verify] are its two halves, for use without a test. [RunLists] does the
// same for transactions over several streams. If too little has happened to show anything,
// both end with an error.
//
// # Check what your own program saw
//
// The checks work on a [History], wherever it comes from. Record the commands of your
// program as [Command], and what its readers get as [Tail] (see [RecordTail]). Give both to
// [CheckTails], or to one of the checks. For a pipeline of go-streams whose output is a
// function of its input, use tidemarktest.RunPipeline.
//
// # What is checked
//
// A stream is a register: its state is the upper, the since and the contents. Commands
// change the state and reads return it, each as if at one moment between call and return
// ([Linearizable], with the checker github.com/anishathalye/porcupine). The moments of
// commands are in the order of their calls, over all streams ([OrderOfCalls]).
//
// A tail has nine properties ([Properties]), in the manner of etcd's robustness tests:
//
//	InOrder                     SeqNos never decrease
//	Unique                      nothing comes twice
//	Complete                    nothing acknowledged is missing, nothing is made up
//	Atomic                      a command is seen as a whole, in every stream
//	ProgressAfterData           a seal comes after all it covers
//	Resumable                   snapshot + tail = any later snapshot
//	NothingBeforeSnapshot       the tail begins after its snapshot
//	NothingLostUnderCompaction  events are neither merged nor left out nor moved in time
//	NothingLostForSlowReader    a reader that lags gets all, or is told (ErrLagged)
//
// An open snapshot is [Stable].
//
// Streams as lists, to which transactions append, are [StrictSerializable]: the graph of
// what must have come before what has no cycle. This is promised, exactly:
//
//   - A write over several streams is one transaction.
//   - A snapshot is a transaction that reads one stream.
//   - No call reads several streams at one moment. But listeners of several streams know
//     all of them as of any SeqNo that they have passed: a consistent cut of the past.
//
// A command whose outcome its client does not know may take effect at any moment until the
// location has been opened again, or never. Until then, the owner's own reads may show less
// than others do ([Read].Detached).
package concurrent
