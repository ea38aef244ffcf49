// Package persist is Tidemark's runtime: durable, time-versioned collections for Go stream
// pipelines.
//
// # Model
//
// A stream is a named, typed multiset of updates. An [Update] says that at a time the
// multiplicity of a (key, value) changes by a diff. Times are numbers that the writer
// chooses. They are not clock readings.
//
//   - Write adds updates at any times that are not sealed.
//   - Seal advances the upper of the stream: every update before the upper has arrived. A
//     later write before the upper is refused. Finish seals for good.
//   - AllowCompaction advances the since. Reads can no longer tell times before the since
//     apart: these may be moved up to it.
//   - Snapshot reads the contents of a stream. Listen reads the contents and all later
//     changes, in one step. It misses no update and repeats none, even if writes happen
//     meanwhile.
//
// # Runtimes, clients and handles
//
// A runtime owns a location: a log and a store of blobs. tidemark.Open opens a location by
// its name and returns a [Client]. Packages file and mem do so with options of their own.
//
// A client has a reference count:
//
//	call       effect
//	Clone      adds an owner
//	Close      gives one owner up; the last one stops the runtime
//	Stop       stops the runtime for all owners
//	Shutdown   as Stop, but waits no longer than its context lasts
//
// Handles are cheap. They may be copied, used by many goroutines, and forgotten.
//
//	client, err := tidemark.Open(ctx, "quakes.db", persist.Config{})
//	defer client.Close()
//	write, read, err := persist.CreateOrLoad(ctx, client, "quakes", codec.String, codec.Uint64)
//
// # Promises
//
// A mutation returns a [Future]. The future is filled when the mutation is flushed to disk
// and visible to reads. Commands that arrive during a flush share the next one.
//
// Commands take effect in the order of the calls, also before their futures are filled. So
// a read sees every command whose call returned before the read began. A command that is
// refused changes nothing, and its error says why.
//
// If the log fails while a command is on its way, the future of the command says
// [ErrOutcomeUnknown]. The runtime then accepts no more writes until the location is opened
// again. Reads go on and show what had been acknowledged. A follower may already show the
// command. [IsRetryable] says after which errors the same call may be made again.
//
// In the repository, docs/design.md says how this works, and docs/time.md says what upper
// and since are for.
package persist
