package storage

import (
	"context"
	"iter"
)

// Version identifies the contents of a blob at one moment, as the entity tag of an object
// store does. Equal contents may have equal versions.
type Version string

// NoVersion is the version of a blob that does not exist.
const NoVersion Version = ""

// BlobInfo describes a stored blob.
type BlobInfo struct {
	Key  string
	Size int64 // bytes
}

// BlobReader reads blobs. It needs no lock and writes nothing. It works beside a Blob of
// the same location, in this process or another one. It also works on a location that was
// never written.
type BlobReader interface {
	// Get returns the whole blob and its version. The caller may keep the bytes.
	//
	// Errors: ErrNotFound; ErrClosed.
	Get(ctx context.Context, key string) ([]byte, Version, error)

	// GetRange returns the bytes [offset, offset+length) of the blob.
	//
	// Errors: ErrNotFound; ErrInvalidRange if the blob does not have those bytes or a
	// number is negative; ErrClosed.
	GetRange(ctx context.Context, key string, offset, length int64) ([]byte, error)

	// List yields the blobs whose key begins with prefix, in ascending order of keys. It
	// may or may not yield blobs that are set or deleted meanwhile. It yields all others
	// exactly once. The sequence ends with its first error.
	List(ctx context.Context, prefix string) iter.Seq2[BlobInfo, error]

	// Close gives up what the reader holds. Every other method then fails with ErrClosed.
	// Close does not affect other readers or the writer. A second call does nothing.
	Close() error
}

// Blob stores blobs under keys. A key is any non-empty string of at most [MaxKeySize]
// bytes.
//
// Every Set is atomic, and durable when it returns. A reader sees the old contents or the
// new ones, never a mixture, also after a crash.
type Blob interface {
	BlobReader

	// Set stores value under key, and replaces what was there. It does not keep value.
	//
	// Errors: ErrInvalidKey; ErrClosed.
	Set(ctx context.Context, key string, value []byte) (Version, error)

	// SetIf is Set on the condition that the version of the blob is expected. NoVersion
	// means that the blob must not exist. Of several calls with the same expectation at
	// most one succeeds.
	//
	// Errors: ErrConflict if the blob has another version, and then nothing changed;
	// ErrInvalidKey; ErrClosed.
	SetIf(ctx context.Context, key string, value []byte, expected Version) (Version, error)

	// Delete removes the blob. It succeeds if the blob does not exist.
	//
	// Errors: ErrClosed.
	Delete(ctx context.Context, key string) error
}

// MaxKeySize is the length limit of blob keys, in bytes. S3 allows 1,024: half of that
// leaves room for a prefix.
const MaxKeySize = 512

// Opener is an optional ability of a BlobReader: it opens a blob once, for many short reads.
type Opener interface {
	// Open opens the present contents of the blob.
	//
	// Errors: ErrNotFound; ErrClosed.
	Open(ctx context.Context, key string) (OpenBlob, error)
}

// OpenBlob is a blob that is open for reading. Several goroutines may use it at once. It may
// take a descriptor of the process. If the blob is deleted, an OpenBlob may keep its space
// until it is closed.
type OpenBlob interface {
	// Size returns the bytes of the blob.
	Size() int64

	// ReadRange fills p with the bytes of the blob from offset on, as they were when it was
	// opened, even if it was replaced or deleted since. After an error the caller must not use
	// p again: if the context has ended, the read may go on.
	//
	// Errors: ErrInvalidRange if the blob does not have those bytes; ErrClosed if the OpenBlob
	// was closed. If the reader was closed that has opened it, ReadRange may succeed or fail
	// with ErrClosed.
	ReadRange(ctx context.Context, p []byte, offset int64) error

	// Close ends the use of the blob. It waits for no read: a read under way goes on. A
	// second call does nothing.
	Close() error
}

// Pinner is an optional ability of a BlobReader: it keeps a blob readable for this reader
// after another process has deleted the blob.
type Pinner interface {
	// Pin keeps the present contents of the blob readable through this reader, until
	// release is called. release may be called more than once. If the blob is not deleted
	// but replaced meanwhile, reading it may give ErrNotFound, but never other contents.
	//
	// Errors: ErrNotFound; ErrClosed.
	Pin(ctx context.Context, key string) (release func(), err error)
}
