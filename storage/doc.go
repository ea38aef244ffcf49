// Package storage defines the two things a Tidemark location is made of: a
// [Log] that orders every change, and a [Blob] store for immutable batches.
//
// The engine in package indexed is the only caller. It appends every command to
// the log before it acknowledges it, and moves data from the log to blobs at
// leisure. Packages mem and file implement both interfaces. There is no other
// implementation yet; the interfaces ask for nothing that an object store or a
// replicated log could not do.
//
// # Writing an implementation
//
// Implement the interfaces, run storagetest.TestLog and storagetest.TestBlob
// against them, and report errors so that the engine can act on them:
//
//   - An operation that had no effect at all returns an error matching
//     [ErrNoEffect] (see [NoEffect]). The engine may then try again. ErrConflict,
//     ErrClosed and ErrTooLarge say so by themselves.
//   - Any other error from a mutation means that its outcome is unknown. After an
//     unknown append the engine stops accepting writes: it never guesses. So an
//     implementation that can find out (by reading back) should, and should
//     report only what it cannot find out.
//   - Damage is a [CorruptError], which says where.
//   - A log with a limit for what one Append takes, or whose files hold more than the
//     bytes of the entries, says so as a [LogSizer]. Otherwise the engine learns of the
//     limit by ErrTooLarge alone, and lets the log grow beyond Config.MaxLogBytes by what
//     it does not know of.
//
// All methods may be called from several goroutines at once, except that a Log
// has one appender at a time. A method returns when its work is done or has
// failed. One that reads ends with its context, also while what it reads from does not
// answer: who reads for a user waits for nothing else. A mutation honours its context where
// it may wait before it has begun. Once begun it may be waited for, however long it takes:
// the engine does that in goroutines of its own. Cancelling the context of a
// mutation that has begun may make its outcome unknown; one that is cancelled before
// the call has no effect, and its error matches both the context's and ErrNoEffect.
package storage
