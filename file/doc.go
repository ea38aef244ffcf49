// Package file keeps a Tidemark location in a directory on the local disk: its log in
// segment files, and each blob in a file of its own. One process writes at a time. Any
// number of others may read meanwhile.
//
// [Open] and [OpenRead] start a runtime on such a directory, which is what most programs
// need. [NewLog], [NewBlob], [NewLogReader] and [NewBlobReader] are the parts.
//
// # Promises
//
//   - What was acknowledged is durable: contents and names were flushed before.
//   - An opening that is refused changes nothing and leaves nothing behind. An opening
//     first reads everything. It writes only when everything was found in order, by the
//     engine as well. Until then, what was read need not be durable, so every write waits
//     for that. A disk that fails during these writes is not a refusal: see [Open].
//   - After a kill or a power cut, at any moment, the location opens and has everything
//     that was acknowledged. Of an append that was not acknowledged, it has all or nothing.
//   - Damage is an error that names file and offset. The log is never cut short to get rid
//     of damage. Only the remains of an append that was never acknowledged are cut. They
//     are kept in a file, and [Log.Recovery] reports them.
//   - After a failed write or flush the log makes no changes any more ([ErrFailed]). After
//     a failed flush of a directory the blobs make none either. No flush is tried again.
//   - When no descriptor is left, a call that needs one fails before it has done anything.
//     Calls succeed again when there are descriptors. The files that durability needs are
//     open from the beginning.
//   - A full disk is noticed before anything is written, so it changes nothing. Work goes
//     on as soon as there is room. Opening, reading and truncating need no room.
//   - On a disk that hangs, every call that reads ends with its context, and an opening
//     ends a second later. Close, and mutations of a [Log] or [Blob] that have begun, wait
//     for the disk.
//   - A call that has ended in this way leaves an operation behind, which goes on until the
//     disk answers and changes nothing. A handle has at most 64 operations under way, and a
//     process at most 64 openings.
//   - A location that was removed, moved or replaced takes no more writes. The next write,
//     or one at most a tenth of a second later, is refused with storage.ErrConflict.
//   - Copies by hard links are independent of the original: a file that has another name is
//     not written. The system must tell how many names a file has. Windows does not.
//   - The lock of a location ends with the process that holds it.
//
// # Assumptions
//
//   - A flush that succeeds has reached the medium.
//   - Bytes next to those that are overwritten stay as they are, also in a power cut.
//   - A rename is atomic.
//   - Locks (flock) work between all processes that use the location. On some network file
//     systems they do not.
//
// A file system that says that it cannot flush directories is used all the same, and named
// in a log message. The package is tested on Linux. It compiles for macOS and Windows, but
// is not tested there.
//
// # Files
//
//	dir/log/LOCK                     the holder of the lock of the log
//	dir/log/0000000000000007.log     segment 7
//	dir/log/spare-...                a file that is ready to become a segment
//	dir/log/tmp-...                  a file that is being prepared for that
//	dir/log/torn-...                 bytes that were cut
//	dir/blob/LOCK                    the holder of the lock of the blobs
//	dir/blob/data/manifest%2fbase    the blob manifest/base
//	dir/blob/pinned/...              a blob that was deleted while a reader had pinned it
//	dir/blob/pins                    bytes that readers lock, to pin blobs
//	dir/blob/tmp/3                   a blob that is being written
//
// The layout of the files is drawn in frame.go and segment.go, and described in full in
// docs/format-file.md.
//
// # How an append becomes durable
//
// One Append encodes its entries as one frame with checksums. It writes the frame with one
// write into a segment whose blocks exist already, and flushes it. Then it writes a mark
// behind the frame, which it does not flush. The mark says that everything before it is
// durable. The next frame overwrites the mark.
//
//	... | group 41-43 | group 44 | mark | old bytes or zeros
//	                             ^ the next group goes here
//
// The mark tells damage from a torn append. Suppose that the last frame does not decode. If
// nothing valid follows it, it was never acknowledged. If anything valid follows it, it was
// acknowledged, and is damaged. A reader in another process waits for the mark, too: it
// yields a frame when it sees the mark, or the next frame, behind it.
package file
