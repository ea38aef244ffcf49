package file

import "errors"

// ErrFailed: a write or a flush failed, so the outcome of the mutation in
// question is unknown, and this handle changes nothing any more. Close it and
// open the location again: that finds out what is there. Asking the disk to
// flush once more could only pretend that what it dropped is safe.
var ErrFailed = errors.New("file: stopped after a failed write or flush")

// ErrNewerFormat: a file was written by a newer version of this package. It was
// not touched. Upgrade the program.
var ErrNewerFormat = errors.New("file: written in a newer format")
