// Package mem keeps logs and blobs in memory, for tests and for pipelines that need no
// disk. It also has crashes and failures on demand, which tests of a durable system need
// most.
//
// # Places and handles
//
// A [Place] is for package mem what a directory is for package file. It holds a log, blobs
// and a lock, and it outlives the handles that are opened on it. Closing everything and
// opening the same Place again is a restart. A Place is garbage when nothing refers to it
// any more.
//
//	place := mem.NewPlace("orders")
//	log, err := place.OpenLog(storage.LockInfo{Owner: "importer"})
//	blob, err := place.OpenBlob(storage.LockInfo{Owner: "importer"})
//	// ... close both, and open them again: the contents are there.
//
// One owner at a time has a Place open for writing. Another owner is refused with a
// [storage.LockedError]. The same owner may open it again. That fences the older handle:
// from then on it fails with [storage.ErrClosed], and closing it late does no harm. Readers
// need no lock and may be opened at any time.
//
// # Crashes
//
// A mutation is durable at once, unless [Place.HoldFlushes] keeps flushes from completing.
// Then [Place.Crash] decides how much of the mutations in flight survives:
//
//	held := place.HoldFlushes()
//	go log.Append(ctx, last, entries)      // does not return
//	err := held.Wait(ctx, 1)               // it is in flight now
//	place.Crash(mem.KeepRandom(seed))      // some prefix of the entries survives
//	log, err = place.OpenLog(lock)         // the next process
//
// # Failures
//
// [Unreliable] wraps any log or blob store, not only those of this package. It offers
//
//   - a switch for outages;
//   - a list of single faults, and a source of random ones;
//   - a delay;
//   - gates, which stop chosen operations until a test opens them.
//
// # Concurrency
//
// Everything here may be used by several goroutines at once, within the limits of the
// interfaces. The package starts no goroutine. It waits on channels only, so it works
// inside a testing/synctest bubble.
package mem
