// Package file keeps a Tidemark location in a directory on the local disk: its
// log in segment files, its blobs in one file each. One process writes at a
// time; any number of others may read meanwhile.
//
// [Open] and [OpenRead] start a runtime on such a directory, which is what most
// programs want. [NewLog], [NewBlob], [NewLogReader] and [NewBlobReader] are the
// parts.
//
// # What it promises
//
//   - What was acknowledged is durable: contents and names were flushed before.
//   - An opening that is refused changes nothing, and leaves nothing behind: it first
//     reads, and writes only when everything was found in order, by the engine as well.
//     A disk that fails while it writes is no refusal: see [Open].
//     Until then what is read need not be durable; so everything that writes waits for that.
//   - A process that is killed at any moment, or a power cut, leaves a location
//     that opens and has everything that was acknowledged. Of an append that was
//     not, it has all or nothing.
//   - Damage is an error that names file and offset. The log is never cut short
//     to get rid of it; only the remains of an append that was never
//     acknowledged are cut, kept aside, and reported by [Log.Recovery].
//   - After a failed write or flush the log, and after a failed flush of a
//     directory the blobs too, change nothing any more ([ErrFailed]). No flush is
//     tried again.
//   - When no descriptor is left, what needs one fails before it has done anything, and
//     goes on when there are some. What durability needs is open from the beginning.
//   - A full disk is met before anything is written, changes nothing, and is
//     over as soon as there is room. Opening, reading and truncating need none.
//   - On a disk that hangs every call that reads ends with its context, and an opening a
//     second later. What was given up goes on until the disk answers, changes nothing, and is
//     bounded: 64 operations for each handle, 64 openings for a process. Close waits for it.
//     Mutations of a [Log] or [Blob] that have begun are waited for.
//   - A location that is gone, removed or moved or replaced, takes no more writes: the
//     first one, a tenth of a second later at most, is refused with storage.ErrConflict.
//   - Copies by hard links are independent of the original: a file that has another name
//     is not written. The system must tell how many names a file has; Windows does not.
//   - The lock of a location dies with the process that holds it.
//
// # What it assumes
//
// A flush that succeeds has reached the medium; bytes next to those that are
// overwritten stay as they are, also in a power cut; a rename is atomic; locks
// (flock) work between all processes that use the location, which is not so on
// some network file systems. One that says that it cannot flush directories is used all
// the same, and named in the log. It is tested on Linux; it compiles for macOS and
// Windows, where it is not tested.
//
// # Files
//
//	dir/log/LOCK                     who writes the log
//	dir/log/0000000000000007.log     segment 7
//	dir/log/spare-...                a file ready to become a segment
//	dir/log/tmp-...                  one that is being prepared
//	dir/log/torn-...                 bytes that were cut
//	dir/blob/LOCK                    who writes the blobs
//	dir/blob/data/manifest%2fbase    the blob manifest/base
//	dir/blob/pinned/...              a blob that was deleted while a reader had pinned it
//	dir/blob/pins                    bytes that readers lock, to pin blobs
//	dir/blob/tmp/3                   a blob that is being written
//
// The files' layout is drawn in frame.go and segment.go, and told in full in
// docs/format-file.md.
//
// # How an append becomes durable
//
// The entries of one Append are encoded as one frame with checksums, written
// with one write into a segment whose blocks exist already, and flushed. Then a
// mark is written behind the frame and not flushed: it says that everything
// before it is durable. The next frame overwrites it.
//
//	... | group 41-43 | group 44 | mark | old bytes or zeros
//	                             ^ the next group goes here
//
// The mark is what tells damage from a torn append. A last frame that does not
// decode was never acknowledged if nothing valid follows it; it was, and is
// damaged, if anything does. And it is what a reader in another process waits
// for: it yields a frame when it sees the mark, or the next frame, behind it.
package file
