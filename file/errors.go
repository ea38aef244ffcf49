package file

import "github.com/tidemark-go/tidemark/storage"

// ErrFailed: a write or a flush failed, so the outcome of the mutation in
// question is unknown, and this handle changes nothing any more. Close it and
// open the location again: that finds out what is there. Asking the disk to
// flush once more could only pretend that what it dropped is safe. It is
// [storage.ErrFailed].
var ErrFailed = storage.ErrFailed

// ErrNewerFormat: a file was written by a newer version of Tidemark. It was not
// touched. Upgrade the program. It is [storage.ErrNewerFormat].
var ErrNewerFormat = storage.ErrNewerFormat
