// Package persist is Tidemark's runtime: durable, time-versioned collections for
// Go stream pipelines.
//
// # Model
//
// A stream is a named, typed multiset of updates. An [Update] says that at a time
// the multiplicity of a (key, value) changes by a diff. Times are numbers that the
// writer chooses; they are not clock readings.
//
//   - Write adds updates at any times that are not sealed.
//   - Seal advances the stream's upper: every update before it has arrived, and a
//     later write there is refused. Finish seals for good.
//   - AllowCompaction advances the since: times before it may be forgotten, that is,
//     moved up to it.
//   - Snapshot reads what is there. Listen reads what is there and what comes after,
//     in one step: every update exactly once, whatever is being written meanwhile.
//
// # Runtimes, clients and handles
//
// A runtime owns a location: a log and a store of blobs. tidemark.Open opens one by its
// name and returns a [Client]; packages file and mem do so with options of their own. A
// client has a reference count: Clone adds an owner, Close gives one up, and the last one
// stops the runtime; Stop stops it for all, and Shutdown does so within the time of a
// context. Handles are cheap, and may be copied, used by many goroutines, and forgotten.
//
//	client, err := tidemark.Open(ctx, "quakes.db", persist.Config{})
//	defer client.Close()
//	write, read, err := persist.CreateOrLoad(ctx, client, "quakes", codec.String, codec.Uint64)
//
// # Promises
//
// A mutation returns a [Future]. It is filled when the mutation is flushed to disk
// and visible to reads; commands that arrive during a flush share the next one.
// Commands take effect in the order of the calls, also before their futures are
// filled: a read sees every command whose call returned before it began. A command
// is refused with an error that says why, and then nothing changed. If the log
// fails while a command is on its way, its future says [ErrOutcomeUnknown], and the
// runtime accepts no more writes until it is opened again. Its reads go on, and show
// what had been acknowledged; a follower may show the command already. [IsRetryable] says
// of which errors the same call may be made again.
//
// docs/design.md in the repository tells how this works, docs/time.md what upper and
// since are for.
package persist
