//go:build !linux

package file

import "os"

// datasync is a full flush: these systems have no cheaper one, or none that can be trusted.
// On macOS only the flush behind os.File.Sync reaches the medium.
func datasync(f *os.File) error { return f.Sync() }
