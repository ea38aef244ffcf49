// Package tidemark keeps durable, time-versioned collections for Go stream pipelines.
//
// A pipeline reads updates, computes, and writes updates. Tidemark stores what it reads and
// writes, so that the pipeline can be killed at any moment, started again, and go on with
// every update processed exactly once. It is a library: a location is one folder on disk,
// and there is no server.
//
// This package has two functions, [Open] and [OpenRead]. They open a location by its name,
// which may come from configuration. Everything else is in the packages below.
//
// # The model
//
// A stream is a durable collection with a name. It is stored as updates. An update
// (key, value, time, diff) says: at this time, the number of copies of (key, value) in the
// collection changes by diff. A diff of 1 adds a row, and -1 retracts it.
//
// A time is a number that the writer chooses. It is not a clock reading: it may be an hour,
// an offset or a version. Two frontiers say what holds for times:
//
//   - The upper says which times are complete. [persist.WriteHandle.Seal] advances it: all
//     updates before the upper have arrived, and a later write there is refused.
//   - The since says which times can be told apart. [persist.WriteHandle.AllowCompaction]
//     advances it: history before the since is folded into the since, to save space.
//
// A read may ask for the contents as of any time from the since on. The contents are exact
// and final if the time is before the upper:
//
//	................ since ############## upper - - - - - - - - -> time
//	 forgotten: shown       exact and      may still change:
//	 at the since           complete       durable and visible
//
// A snapshot is what is in a stream now. A listener delivers what comes after it. Both are
// taken in one step: nothing is lost between them, and nothing comes twice.
//
// # A first program
//
// The example of this package opens a location, makes a stream, writes and seals it, and
// reads it back:
//
//	db, err := tidemark.Open(ctx, "shop.db", persist.Config{})
//	defer db.Close()
//	write, read, err := persist.CreateOrLoad(ctx, db, "stock", codec.String, codec.Unit)
//	_, err = write.Write(ctx, updates).Wait(ctx) // durable when Wait returns
//	_, err = write.Seal(ctx, 3).Wait(ctx)        // times 0, 1 and 2 are complete
//	snapshot, err := read.Snapshot(ctx)
//	defer snapshot.Close()
//	for update, err := range snapshot.AsOf(ctx, 2) { ... }
//
// The program examples/quickstart in the repository, which is in its README too, goes on
// with a go-streams pipeline from one stream to another.
//
// # Locations
//
// A location is a directory or a URL. One process at a time writes to it, and others may
// follow it with [OpenRead].
//
//	shop.db, /var/lib/shop.db, C:\shop.db    a directory on the local disk (package file)
//	file:shop.db, file:///var/lib/shop.db    the same, as a URL
//	mem:shop                                 memory of this process (package mem)
//
// Other modules add other schemes when they are imported: see [Register].
//
// # Where to go next
//
//   - Package persist has the runtime: clients, typed handles, futures, atomic writes over
//     several streams, snapshots, listeners, the configuration and the errors.
//   - Package persist/codec turns keys and values into bytes. Its doc has a table of codecs.
//   - Packages operators/source and operators/sink connect streams to go-streams pipelines.
//     Package operators has what is between them, and explains batch mode, in which a
//     pipeline is exactly once.
//   - Package frontier has uppers, sinces and what can be done with them.
//   - Package file and package mem have the two built-in kinds of location, and options that
//     a location's name cannot give. Package mem also injects crashes and faults, for tests.
//   - Package tidemarktest checks pipelines of your own against a reference model.
//   - Package storage has the interfaces to implement for another kind of location.
//
// In the repository, docs/time.md explains times with examples, docs/promises.md says what is
// promised and what is not, and docs/design.md how it works.
package tidemark
