//go:build !linux

package file

import "os"

// datasync is a full flush where there is no cheaper one, or none to be trusted:
// on macOS only the flush behind os.File.Sync reaches the medium.
func datasync(f *os.File) error { return f.Sync() }
