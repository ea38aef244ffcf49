package storagetest

import (
	"context"
	"testing"

	"github.com/tidemark-go/tidemark/storage"
)

// Logs opens the logs under test.
type Logs struct {
	// Open opens the log at path for writing, and creates it if needed.
	Open func(ctx context.Context, path string, lock storage.LockInfo) (storage.Log, error)

	// OpenReader opens a reader of the log at path, whether or not a writer has the log
	// open. If OpenReader is nil, the tests of readers are skipped.
	OpenReader func(ctx context.Context, path string) (storage.LogReader, error)

	// Features says what this implementation does differently.
	Features Features
}

// TestLog runs the conformance suite for logs, one subtest for each promise.
func TestLog(t *testing.T, open Logs) {
	for _, test := range logTests {
		t.Run(test.name, func(t *testing.T) { test.run(t, open) })
	}
}
