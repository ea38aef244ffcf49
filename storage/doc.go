// Package storage defines the two things that a Tidemark location is made of: a [Log] that
// orders every change, and a [Blob] store for immutable batches.
//
// The engine in package indexed is the only caller. It appends every command to the log
// before it acknowledges the command, and moves data from the log to blobs later. Packages
// mem and file implement both interfaces. There is no other implementation yet. The
// interfaces ask for nothing that an object store or a replicated log could not do.
//
// # Writing an implementation
//
// Implement the interfaces, and run storagetest.TestLog and storagetest.TestBlob on them.
// Report errors so that the engine can act on them:
//
//   - An operation that had no effect at all returns an error that matches [ErrNoEffect]
//     (see [NoEffect]). The engine may then try again. ErrConflict, ErrClosed and
//     ErrTooLarge say by themselves that there was no effect.
//   - Any other error of a mutation means that its outcome is unknown. After an append of
//     unknown outcome the engine accepts no more writes: it never guesses. So an
//     implementation that can find out the outcome, by reading back, should do so, and
//     report only what it cannot find out.
//   - Damage is a [CorruptError], which names the place.
//   - Some logs have a limit for one Append, or files that hold more than the bytes of the
//     entries. Such a log is a [LogSizer]. Otherwise the engine learns of the limit by
//     ErrTooLarge alone, and the log grows beyond Config.MaxLogBytes by the bytes that the
//     engine does not know of.
//
// # Concurrency and contexts
//
// All methods may be called from several goroutines at once, except that a Log has one
// appender at a time. A method returns when its work is done or has failed.
//
//	method                            when its context ends
//	a read                            it returns, even while the medium does not answer
//	a mutation that waits to begin    it returns, without effect
//	a mutation that has begun         it may go on, however long it takes
//
// The engine waits for reads in the call of its user, and for mutations in goroutines of its
// own. Cancelling the context of a mutation that has begun may make its outcome unknown. A
// mutation whose context was cancelled before the call has no effect, and its error matches
// both the context's and ErrNoEffect.
package storage
