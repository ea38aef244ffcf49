// Package mem keeps logs and blobs in memory, for tests and for pipelines that
// need no disk. It also has what tests of a durable system need most: crashes and
// failures on demand.
//
// # Places and handles
//
// A [Place] is what a directory is to package file: it holds a log, blobs and a
// lock, and it outlives the handles that are opened on it. Closing everything and
// opening the same Place again is a restart. A Place is garbage when nobody
// refers to it any more.
//
//	place := mem.NewPlace("orders")
//	log, err := place.OpenLog(storage.LockInfo{Owner: "importer"})
//	blob, err := place.OpenBlob(storage.LockInfo{Owner: "importer"})
//	// ... close both, and open them again: the contents are there.
//
// Handles are generations. One owner at a time has a Place open for writing;
// another one is refused with a [storage.LockedError]. The same owner may open it
// again, which fences the handle before it: that handle fails with
// [storage.ErrClosed] from then on, and closing it late does no harm.
// Readers need no lock and may be opened at any time.
//
// # Crashes
//
// A mutation is durable at once, unless [Place.HoldFlushes] keeps flushes from
// completing. Then [Place.Crash] decides how much of the mutations in flight
// survives:
//
//	held := place.HoldFlushes()
//	go log.Append(ctx, last, entries)      // does not return
//	err := held.Wait(ctx, 1)               // it is in flight now
//	place.Crash(mem.KeepRandom(seed))      // some prefix of the entries survives
//	log, err = place.OpenLog(lock)         // the next process
//
// # Failures
//
// [Unreliable] wraps any log or blob, not only those of this package. It is a
// switch for outages, a list of single faults, a source of random ones, a delay
// and a set of gates that stop chosen operations until a test lets them go.
//
// # Concurrency
//
// Everything here may be used by several goroutines at once, within the limits of
// the interfaces. The package starts no goroutine. It waits on channels only, so
// it works inside a testing/synctest bubble.
package mem
