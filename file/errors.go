package file

import "github.com/tidemark-go/tidemark/storage"

// ErrFailed: a write or a flush failed. So the outcome of that mutation is unknown, and the
// handle makes no changes any more. Close the handle and open the location again: the opening
// finds out what is there. Another flush would not help: it might succeed although the disk
// has dropped the data. It is [storage.ErrFailed].
var ErrFailed = storage.ErrFailed

// ErrNewerFormat: a file was written by a newer version of Tidemark. The file was not touched.
// Upgrade the program. It is [storage.ErrNewerFormat].
var ErrNewerFormat = storage.ErrNewerFormat
