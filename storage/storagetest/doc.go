// Package storagetest holds the conformance suites for implementations of [storage.Log] and
// [storage.Blob]. An implementation that passes them can carry a Tidemark location.
//
// The test of an implementation calls a suite with functions that open locations:
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
// # What the suites require beyond the interfaces
//
// The doc comments of [storage.Log] and [storage.Blob] are the contract. The suites add
// what an interface cannot say:
//
//   - Different paths are independent locations. A path that is opened again has the
//     contents that it had.
//   - A path consists of letters, digits and hyphens, and one test alone uses it. Its
//     location must be new when the suite starts. On a server that outlives the test, put
//     something unique in front of the path.
//   - A reader can be opened before anything was ever written. It then sees an empty
//     location, and later what a writer has written.
//   - A call with a context that is already cancelled fails with that context's error. The
//     error of a mutation then also matches [storage.ErrNoEffect], and the handle stays
//     usable.
//   - Close succeeds at any time and more than once. Afterwards every other method fails
//     with [storage.ErrClosed]. Closing a handle that was superseded does not affect its
//     successor.
//
// What implementations may do differently is in [Features].
//
// The suites start no goroutine that outlives a test, never sleep, and close every handle
// that they open. They write a few tens of MiB in all.
package storagetest
