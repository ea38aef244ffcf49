package storagetest

import (
	"context"
	"testing"

	"github.com/tidemark-go/tidemark/storage"
)

// Blobs opens the blob stores under test.
type Blobs struct {
	// Open opens the blobs at path for writing, and creates the location if needed.
	Open func(ctx context.Context, path string, lock storage.LockInfo) (storage.Blob, error)

	// OpenReader opens a reader of the blobs at path, whether or not a writer has them
	// open, and even if nothing was ever written there. If OpenReader is nil, the tests of
	// readers are skipped.
	OpenReader func(ctx context.Context, path string) (storage.BlobReader, error)

	// Features says what this implementation does differently.
	Features Features
}

// TestBlob runs the conformance suite for blobs, one subtest for each promise.
func TestBlob(t *testing.T, open Blobs) {
	for _, test := range blobTests {
		t.Run(test.name, func(t *testing.T) { test.run(t, open) })
	}
}
