// Command museum shows that the tests still find the bugs that systems of our kind
// have had. Each exhibit is a small change of our own code that plants one such bug,
// and names the test that must fail because of it.
//
//	go run ./internal/museum            # every exhibit
//	go run ./internal/museum -tier A    # those that are shown with every change
//	go run ./internal/museum -only ack  # those whose names match
//
// It builds each changed program beside the real one, through the go command's
// -overlay, so nothing of this is in a normal build, and the work tree stays as it
// is. It prints the table of docs/testing.md, and exits with 1 if a bug was not
// caught.
//
// A change of the code that an exhibit changes breaks the exhibit, and go test says
// so: write the bug into the new code. A test that no longer catches its exhibit has
// lost its teeth: repair the test. Add an exhibit for every bug of our own that a
// test was written for.
package main
