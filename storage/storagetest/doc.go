// Package storagetest holds the conformance suites for implementations of
// [storage.Log] and [storage.Blob]. An implementation that passes them can carry
// a Tidemark location.
//
// An implementation's own test calls the suite with a way to open locations:
//
//	func TestLog(t *testing.T) {
//		dir := t.TempDir()
//		storagetest.TestLog(t, storagetest.Logs{
//			Open: func(ctx context.Context, path string, lock storage.LockInfo) (storage.Log, error) {
//				return mylog.Open(ctx, filepath.Join(dir, path), lock)
//			},
//			OpenReader: func(ctx context.Context, path string) (storage.LogReader, error) {
//				return mylog.OpenReader(ctx, filepath.Join(dir, path))
//			},
//		})
//	}
//
// # What the suites ask for beyond the interfaces
//
// The doc comments of [storage.Log] and [storage.Blob] are the contract. The
// suites add what an interface cannot say:
//
//   - Different paths are independent locations. A path opened again has the
//     contents it had. A path consists of letters, digits and hyphens, is used by
//     one test only, and its location must be new when the suite starts: on a
//     server that outlives the test, put something unique in front of it.
//   - A reader opens before anything was ever written there; it then sees an empty
//     location, and later what a writer has put there.
//   - A call with a context that is already cancelled fails with that context's
//     error; a mutation then also matches [storage.ErrNoEffect], and the handle
//     stays usable.
//   - Close succeeds at any time and more than once. Afterwards every other method
//     fails with [storage.ErrClosed]. Closing a handle that was superseded does
//     not hurt its successor.
//
// What implementations may do differently is in [Features].
//
// The suites start no goroutine that outlives a test, never sleep, and close
// every handle they open. They write a few tens of MiB in all.
package storagetest
