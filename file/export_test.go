package file

import "os"

// Datasync is the flush that a Log uses, for comparing with it.
func Datasync(f *os.File) error { return datasync(f) }
