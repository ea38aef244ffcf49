// Command museum shows that the tests still find the bugs that systems of our kind
// have had. Each exhibit is a small change of our own code that plants one such bug,
// and names the test that must fail because of it.
//
//	go run ./internal/museum            # every exhibit
//	go run ./internal/museum -tier A    # those that are shown with every change
//	go run ./internal/museum -only ack  # those whose names match
//
// The command builds each changed program beside the real one, through the go command's
// -overlay. Nothing of this is in a normal build, and the work tree stays as it is. The
// command prints the table of docs/testing.md, and exits with 1 if a bug was not caught.
//
// # Markers
//
// An exhibit finds the code that it changes by a marker, a comment line of its own above
// that code:
//
//	//museum:ack-before-flush
//	if err := s.flush(); err != nil {
//		return err
//	}
//
// The marked code is the largest statement, declaration, case, element, field or
// expression that begins on the first line of code below the marker. A marker above a
// func marks the whole function. A marker may be in any Go file of the module that is not
// a test, and must be there once. The exhibit does not say in which file or function: so
// it stays right when code moves, and when things get other names.
//
// One line may have markers of several exhibits: "//museum:this-bug, that-bug". An
// exhibit that changes several places numbers those after the first: "//museum:this-bug/2".
//
// A marker has no space behind the slashes. So it is a directive of Go: go doc does not
// show it, and gofmt moves it to the end of a doc comment.
//
// # Changes
//
// What becomes of the marked code is in the table of exhibits:
//
//	never, always    its condition is false, or true
//	drop             it is left out
//	before, after    code stands before it, or behind it
//	around           both
//	instead          other code stands in its place
//	swap             one text in it is another
//
// Changes without names of the code last longest: prefer never, always and drop. The
// others may have a name in their text: change the text when that thing gets another name.
// If you forget it, go test says so: the text is not found any more, or the planted program
// does not build.
//
// # When the code changes
//
// Code that moves takes its marker along. If you write code anew, put the marker above the
// line that now decides whether there is the bug. In seconds, go test ./internal/museum
// checks that each exhibit has its markers, that it fits the marked code, that the planted
// program builds, and that there are no other markers. Only the command shows whether the
// bug is caught. A test that no longer catches its exhibit is too weak: repair the test.
// Add an exhibit for every bug of our own that a test was written for.
package main
