//go:build unix && !linux

package file_test

import "syscall"

// A child ends when its standard input does.
var childAttributes *syscall.SysProcAttr
