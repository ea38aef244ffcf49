// Package vfs has the interfaces that package file needs of a disk: a file system, an open
// file and an open directory. It has no code of its own.
//
// Package file implements them on the operating system (os.go, lock_os.go), and uses the
// system's files in no other way. So a test that implements them sees every single
// operation, and may fail it. Package file/internal/disk does so in memory.
//
// Names are paths. Errors match the sentinels of io/fs that a method names: fs.ErrNotExist,
// fs.ErrExist. All methods may be called by several goroutines at once. All may block for
// as long as the disk takes, and no context ends them.
package vfs

import "errors"

// FS is a file system.
type FS interface {
	// Absolute returns a path of a directory that keeps its meaning: changes of the working
	// directory, or of a symbolic link on the way, do not affect it. The directory need not
	// exist.
	Absolute(dir string) (string, error)
	// Open opens a file for reading. fs.ErrNotExist.
	Open(name string) (File, error)
	// OpenWrite opens an existing file for reading and writing. fs.ErrNotExist.
	OpenWrite(name string) (File, error)
	// Create makes a new file and opens it for reading and writing. fs.ErrExist.
	Create(name string) (File, error)
	// Rename gives a file another name, atomically. It replaces the file that has that
	// name.
	Rename(from, to string) error
	// Remove removes a file, or an empty directory. fs.ErrNotExist.
	Remove(name string) error
	// Mkdir makes a directory in an existing one. fs.ErrExist, fs.ErrNotExist.
	Mkdir(name string) error
	// List returns the names in a directory, in any order. fs.ErrNotExist.
	List(dir string) ([]string, error)
	// Stat returns the size of a file in bytes. fs.ErrNotExist.
	Stat(name string) (int64, error)
	// OpenDir opens a directory, to make the names in it durable. fs.ErrNotExist.
	OpenDir(dir string) (Dir, error)
	// Lock takes the exclusive lock on a file, which it creates if needed, and on the
	// directory of the file. It fails with ErrHeld, or with ErrReplaced if another
	// directory has got the name of the directory meanwhile. The lock ends with unlock or
	// with the process.
	Lock(name string) (unlock func() error, err error)
}

// File is an open file.
type File interface {
	// ReadAt reads at an offset, as an io.ReaderAt does.
	ReadAt(p []byte, off int64) (int, error)
	// ReadCached reads at an offset what the system has in memory, and never waits for the
	// disk. It may read fewer bytes than there are, or none. errors.ErrUnsupported.
	ReadCached(p []byte, off int64) (int, error)
	// WriteAt writes at an offset, as an io.WriterAt does, and makes the file longer if
	// needed. What it writes is not durable before Sync or Datasync.
	WriteAt(p []byte, off int64) (int, error)
	// Sync makes contents and size durable.
	Sync() error
	// Datasync makes contents durable. It need not do so for the time stamps. So it is
	// cheap for a file that does not grow.
	Datasync() error
	// Truncate changes the size, in bytes.
	Truncate(size int64) error
	// Size returns the size in bytes.
	Size() (int64, error)
	// Links returns how many names the file has, 0 if it was removed, or UnknownLinks.
	Links() (int, error)
	// IsAt reports whether a path leads to the file now. It reports true if that is not known.
	IsAt(name string) (bool, error)
	// TryLock takes the shared or the exclusive lock on the file, or returns ErrHeld. The
	// lock belongs to this handle and ends with it. Other errors mean that the file system
	// has no such locks.
	TryLock(exclusive bool) error
	// Unlock gives up the lock that TryLock took.
	Unlock() error
	// TryLockByte takes the shared or the exclusive lock on the byte at an offset, or
	// returns ErrHeld. The file need not have that byte. The lock replaces one that the
	// handle has on the byte. It belongs to this handle and ends with it.
	// errors.ErrUnsupported.
	TryLockByte(at int64, exclusive bool) error
	// UnlockByte gives up the lock that TryLockByte took.
	UnlockByte(at int64) error
	// ID identifies the file among the files that exist. errors.ErrUnsupported.
	ID() (FileID, error)
	// Close ends the handle and its locks. It makes nothing durable.
	Close() error
}

// Dir is an open directory. Open it before the names in it change: if no descriptor is
// left, nothing has happened yet.
type Dir interface {
	// SyncDir makes the names in the directory durable.
	SyncDir() error
	// IsAt reports whether a path leads to the directory now. It reports true if that is
	// not known.
	IsAt(dir string) (bool, error)
	// Close ends the handle.
	Close() error
}

// FileID tells existing files apart.
type FileID struct{ Device, Inode uint64 }

// UnknownLinks: the system does not tell how many names a file has.
const UnknownLinks = -1

// ErrHeld: another handle holds the lock. Try again when that handle has given the lock up.
var ErrHeld = errors.New("file: lock is held")

// ErrReplaced: the directory that was locked is not the one that has the name now. Lock again
// by the name.
var ErrReplaced = errors.New("file: the directory was replaced while it was locked")
