package file_test

import "syscall"

// A child never outlives the test binary, however that ends, and even if it is
// stopped at that moment.
var childAttributes = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
