package proof

import (
	"fmt"
	"os"
	"testing"
)

// Reached records a figure that a test reached. what names what was counted. row is the row
// of the table in docs/testing.md. The figure is logged. If TIDEMARK_FIGURES names a file,
// it is appended there as a line: row, test, what and number, with tabs between them.
//
// Call it at the end of a test: a failed test reaches nothing.
func Reached[N int | int64 | uint64](t testing.TB, row int, what string, n N) {
	t.Helper()
	if t.Failed() {
		return
	}
	t.Logf("reached: %d %s", n, what)
	name := os.Getenv("TIDEMARK_FIGURES")
	if name == "" {
		return
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatalf("TIDEMARK_FIGURES: %v", err)
	}
	_, err = fmt.Fprintf(f, "%d\t%s\t%s\t%d\n", row, t.Name(), what, n)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		t.Fatalf("TIDEMARK_FIGURES: %v", err)
	}
}
