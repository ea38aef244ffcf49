// Package disk is a disk in memory for the tests of package file. It knows what a power cut
// would leave, it fails where a test wants it to, and it counts what is open.
//
// A [Disk] is a vfs.FS. So a log, a blob store or a whole runtime works on it as on the
// files of the operating system. A test runs something, stops at a moment, and opens what
// is left:
//
//	m := disk.New()
//	... write and flush through m ...
//	left := m.Crash(nil, 0) // a power cut: only what was flushed
//	... open left, and require what was acknowledged ...
//
// Package file/internal/vfs states the rules of each operation. Only tests import this
// package.
//
// # What it can do
//
//	to have                                     use
//	a power cut at this moment                  Disk.Crash, Disk.CrashKeepingNames
//	a process that is killed at this moment     Disk.Clone
//	a crash after every operation of a run      Disk.Record, Disk.Mark, Journal.Images
//	a write that is torn at a byte              Journal.Images, kind Torn
//	an operation that fails                     Disk.SetHook
//	a fault at every call in the code           Faulty, Fault, FaultsOf
//	a check of what follows a failed flush      Faulty.Wrong
//	a full disk                                 Disk.Capacity, Disk.Used; FaultKind Full
//	a disk that hangs                           Disk.Stall
//	no descriptor left                          SetHook with EMFILE; FaultKind NoDescriptors
//	files that are left open                    Disk.Handles
//	a reader that must change nothing           Disk.Changes, Disk.Everything
//	another process that has the lock           Disk.Lock, or TryLock and TryLockByte of a file
//	a system with fewer means                   Disk.NoLinks, Disk.NoByteLocks
//	damage: a byte, a page, a size              Disk.Edit, Disk.Resize
//	files that are lost, old, moved, shared     Disk.Lose, Disk.Put, Disk.Move, Disk.Link
//
// # Power cuts
//
// Programs see at once what was written. Two things are on the disk for certain: the
// contents of a file that Sync or Datasync made durable, and the names in a directory that
// SyncDir made durable. What else is there after a power cut is a matter of chance, in
// units: a sector of 512 bytes, the size of a file, one name. Each unit is as it was at
// some time since the last flush.
//
// A flush that fails makes its file clean. A power cut then loses what the flush should
// have written, even after a later flush that succeeds, as on Linux.
//
// Crash draws one such state. Journal.Images makes many: from the journal of one run it
// makes the states after each operation, in the ways of [Kinds]. Each [Image] carries the
// newest mark of the run. The mark says what the client of the tested code knew by then.
// images.go says which states there are and which there are not. They are those that
// docs/promises.md assumes.
//
// # Hooks and faults
//
// A hook is called before every operation and may fail it. Its arguments are the operation
// and a name:
//
//	open openWrite create mkdir remove   the file or directory
//	rename                               the new name
//	list stat openDir                    the file or directory
//	syncDir                              the directory
//	lock, and unlock of a lock           the LOCK file
//	read write sync datasync truncate    the name that the file has now; if it has none,
//	size links isAt id close             the name that it was opened by
//	tryLock unlock                       (isAt and close of a directory: its name)
//	tryLockByte unlockByte
//
// [Faulty] fails one call, as a [Fault] plans: the nth call from one line of code, once or
// from then on. First run with RecordOps, to learn all calls from Ops. Then run once for
// each fault of FaultsOf. The line is that of the innermost function that is neither in
// this package nor in a test. So a test can require that every call in the code has failed
// once.
//
// # Concurrency
//
// Operations may be called by several goroutines at once. They run one after the other. A
// hook runs with the disk locked: it must call no operation, or it hangs. A hook that needs
// an operation calls it within Meanwhile.
//
// Some methods take no lock; their docs say so. They are for hooks, for Alone, and for a
// disk that nobody else uses.
package disk
