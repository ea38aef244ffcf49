package storage

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrNotFound: no blob has this key.
	ErrNotFound = errors.New("storage: not found")
	// ErrConflict: the newest position of the log, or the version of the blob, is not the
	// expected one. Another writer has changed it. Nothing was changed by this call.
	ErrConflict = errors.New("storage: conflict with another writer")
	// ErrTruncated: entries that the reader asked for have been removed from the log.
	ErrTruncated = errors.New("storage: log entries already truncated")
	// ErrInvalidTruncation: a truncation beyond the end of the log.
	ErrInvalidTruncation = errors.New("storage: truncation beyond the end of the log")
	// ErrInvalidRange: a blob does not have the bytes that were asked for.
	ErrInvalidRange = errors.New("storage: range outside the blob")
	// ErrInvalidKey: a blob key that is empty or longer than MaxKeySize.
	ErrInvalidKey = errors.New("storage: invalid blob key")
	// ErrTooLarge: an entry, a group of entries or a blob above a limit of the
	// implementation, or a command above a limit of the engine. Split it.
	ErrTooLarge = errors.New("too large")
	// ErrClosed: the handle was closed, or a newer handle has taken over its location.
	ErrClosed = errors.New("storage: closed")
	// ErrLocked: another owner has the location open. errors.As gives a LockedError, which
	// names the owner.
	ErrLocked = errors.New("storage: location is locked")
	// ErrCorrupt: stored bytes are damaged. errors.As gives a CorruptError, which names the
	// place.
	ErrCorrupt = errors.New("storage: corrupt data")
	// ErrNewerFormat: stored bytes are whole, but in the format of a newer version of
	// Tidemark. They were not touched. Upgrade the program.
	ErrNewerFormat = errors.New("storage: written in a newer format")
	// ErrFailed: a mutation failed in such a way that the handle makes no changes any more.
	// Close the handle and open the location again: the opening finds out what is there.
	ErrFailed = errors.New("storage: stopped after a failed write or flush")
	// ErrNoEffect: the mutation failed before it changed anything, and may be tried again. A
	// failed mutation whose error does not match ErrNoEffect has an unknown outcome.
	ErrNoEffect = errors.New("storage: operation had no effect")
)

// NoEffect wraps err so that it also matches ErrNoEffect. It returns nil for nil.
func NoEffect(err error) error {
	if err == nil {
		return nil
	}
	return noEffectError{err}
}

// noEffectError adds a match and no words: the text is that of the cause.
type noEffectError struct{ error }

func (e noEffectError) Unwrap() []error { return []error{e.error, ErrNoEffect} }

// CorruptError locates damage. It matches ErrCorrupt.
type CorruptError struct {
	Where  string // the file or blob key
	Offset int64  // of the damage, in bytes; -1: the whole file or blob
	Err    error  // what was expected and what was found
}

// Error names the place and the damage.
func (e *CorruptError) Error() string {
	if e.Offset < 0 {
		return fmt.Sprintf("storage: corrupt data in %s: %v", e.Where, e.Err)
	}
	return fmt.Sprintf("storage: corrupt data in %s at offset %d: %v", e.Where, e.Offset, e.Err)
}

// Unwrap returns ErrCorrupt and the cause.
func (e *CorruptError) Unwrap() []error { return []error{ErrCorrupt, e.Err} }

// Corruptf returns a CorruptError for a place. The format and its arguments make the cause.
func Corruptf(where string, offset int64, format string, args ...any) error {
	return &CorruptError{Where: where, Offset: offset, Err: fmt.Errorf(format, args...)}
}

// LockInfo names the owner of a location.
type LockInfo struct {
	// Owner identifies the owner over restarts. An earlier instance of an owner may have died
	// without giving up the location. If the implementation cannot see that, the same owner
	// may take over the location.
	Owner string
	// Details is free text for people: process id, host, start time.
	Details string
}

// LockedError names the holder of a location. It matches ErrLocked.
type LockedError struct {
	Location string
	Holder   LockInfo
}

// Error names the location and its holder.
func (e *LockedError) Error() string {
	holder := strings.TrimSpace(strings.Join([]string{e.Holder.Owner, e.Holder.Details}, " "))
	if holder == "" {
		holder = "an unknown owner"
	}
	return fmt.Sprintf("storage: location %q is locked by %s: stop it, or open another location", e.Location, holder)
}

// Unwrap returns ErrLocked.
func (e *LockedError) Unwrap() error { return ErrLocked }
