package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/tidemark-go/tidemark/file/internal/vfs"
	"github.com/tidemark-go/tidemark/storage"
)

const (
	blobDir  = "blob"
	blobData = "data" // below blobDir: one file for each blob
	blobTemp = "tmp"  // below blobDir: files being written
)

// blobFiles reads a directory of blobs. It has no state.
type blobFiles struct {
	fsys vfs.FS
	dir  string // of the data
}

func (b blobFiles) path(key string) string { return filepath.Join(b.dir, blobPath(key)) }

func errNotFound(key string) error { return fmt.Errorf("blob %q: %w", key, storage.ErrNotFound) }

// open opens the blob with a key. Errors: storage.ErrNotFound; those of the file system.
func (b blobFiles) open(key string) (vfs.File, error) {
	if !validKey(key) {
		return nil, errNotFound(key)
	}
	f, err := b.fsys.Open(b.path(key))
	if isNotExist(err) {
		return nil, errNotFound(key)
	}
	if err != nil {
		return nil, fmt.Errorf("open blob %q: %w", key, err)
	}
	return f, nil
}

// get returns the contents of the blob with a key, and their version.
func (b blobFiles) get(key string) ([]byte, storage.Version, error) {
	f, err := b.open(key)
	if err != nil {
		return nil, storage.NoVersion, err
	}
	data, err := readBlob(f, key)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, storage.NoVersion, err
	}
	return data, blobVersion(data), nil
}

// readBlob reads a whole open blob.
func readBlob(f vfs.File, key string) ([]byte, error) {
	size, err := f.Size()
	if err != nil {
		return nil, fmt.Errorf("size of blob %q: %w", key, err)
	}
	if err := checkPiece(key, size); err != nil {
		return nil, err
	}
	data := make([]byte, size)
	return data, readBlobAt(f, key, data, 0)
}

// readBlobRange reads a part of an open blob.
func readBlobRange(f vfs.File, key string, offset, length int64) ([]byte, error) {
	size, err := f.Size()
	if err != nil {
		return nil, fmt.Errorf("size of blob %q: %w", key, err)
	}
	if err := checkRange(key, size, offset, length); err != nil {
		return nil, err
	}
	data := make([]byte, length)
	return data, readBlobAt(f, key, data, offset)
}

// checkRange refuses a range that a blob of so many bytes does not have, or that no slice can
// have.
func checkRange(key string, size, offset, length int64) error {
	if offset < 0 || length < 0 || offset > size || length > size-offset {
		return fmt.Errorf("blob %q has %d bytes, asked for %d from offset %d: %w", key, size, length, offset, storage.ErrInvalidRange)
	}
	return checkPiece(key, length)
}

// checkPiece refuses a length that no slice can have. Only a program whose int has 64 bits
// can have written such a blob.
func checkPiece(key string, length int64) error {
	const maxPiece = math.MaxInt / 2 // a 32-bit program has address space for about so much
	if length <= maxPiece {
		return nil
	}
	return fmt.Errorf("read %d bytes of blob %q at once: the limit of a %d-bit program is %d: %w", length, key, strconv.IntSize, maxPiece, storage.ErrTooLarge)
}

func readBlobAt(f vfs.File, key string, data []byte, offset int64) error {
	n, err := f.ReadAt(data, offset)
	if n == len(data) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return storage.Corruptf("blob "+strconv.Quote(key), offset+int64(n), "the file ends here, it was %d bytes longer", len(data)-n)
	}
	return fmt.Errorf("read %d bytes of blob %q at offset %d: %w", len(data), key, offset, err)
}

// blobVersion is a digest of the contents. It is the same in every process, and needs
// nothing stored beside the contents.
func blobVersion(data []byte) storage.Version {
	return storage.Version(fmt.Sprintf("%016x-%x", xxhash.Sum64(data), len(data)))
}

// statGroup is how many blobs one operation of a list looks at. One operation for each blob
// would cost two switches of goroutines, which is several times the cost of the look
// itself.
const statGroup = 64

// all yields the blobs whose keys have a prefix. Before each it calls check, whose error
// ends the sequence. No operation is under way while a blob is yielded.
func (b blobFiles) all(ctx context.Context, prefix string, reads operations, check func() error) iter.Seq2[storage.BlobInfo, error] {
	return func(yield func(storage.BlobInfo, error) bool) {
		keys, err := await(ctx, reads, func() ([]string, error) { return b.keys(ctx, prefix) }, nil)
		if err != nil {
			yield(storage.BlobInfo{}, err)
			return
		}
		for group := range slices.Chunk(keys, statGroup) {
			infos, err := await(ctx, reads, func() ([]storage.BlobInfo, error) { return b.infos(ctx, group) }, nil)
			for _, info := range infos {
				if stop := errors.Join(ctx.Err(), check()); stop != nil {
					yield(storage.BlobInfo{}, stop)
					return
				}
				if !yield(info, nil) {
					return
				}
			}
			if err != nil {
				yield(storage.BlobInfo{}, err)
				return
			}
		}
	}
}

// infos returns the sizes of the blobs with some keys. It leaves out those that were
// deleted meanwhile. With an error it returns the blobs before the error.
func (b blobFiles) infos(ctx context.Context, keys []string) ([]storage.BlobInfo, error) {
	infos := make([]storage.BlobInfo, 0, len(keys))
	for _, key := range keys {
		if err := ctx.Err(); err != nil {
			return infos, err
		}
		size, err := b.fsys.Stat(b.path(key))
		if isNotExist(err) {
			continue
		}
		if err != nil {
			return infos, fmt.Errorf("list blobs: %w", err)
		}
		infos = append(infos, storage.BlobInfo{Key: key, Size: size})
	}
	return infos, nil
}

// keys returns the keys with a prefix, in order.
func (b blobFiles) keys(ctx context.Context, prefix string) ([]string, error) {
	var keys []string
	err := b.walk("", func(path string, dir bool) error {
		if key, ok := blobKey(path); ok && !dir && strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
		return ctx.Err()
	})
	slices.Sort(keys)
	return keys, err
}

// walk visits all files and directories below dir. It visits a directory after its
// contents.
func (b blobFiles) walk(dir string, visit func(path string, dir bool) error) error {
	names, err := b.fsys.List(filepath.Join(b.dir, dir))
	if isNotExist(err) {
		return nil // no location yet, or removed meanwhile
	}
	if err != nil {
		return fmt.Errorf("list blobs: %w", err)
	}
	for _, n := range names {
		path := filepath.Join(dir, n)
		isDir := strings.HasSuffix(n, nameContinues)
		if isDir {
			if err := b.walk(path, visit); err != nil {
				return err
			}
		}
		if err := visit(path, isDir); err != nil {
			return err
		}
	}
	return nil
}
