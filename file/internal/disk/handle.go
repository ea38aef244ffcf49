package disk

import (
	"errors"
	"io"
	iofs "io/fs"
	"slices"
	"syscall"

	"github.com/tidemark-go/tidemark/file/internal/vfs"
)

// handle is an open file of a Disk.
type handle struct {
	m                 *Disk
	n                 *inode
	name              string
	writable          bool
	shared, exclusive bool
	closed            bool
}

func (h *handle) begin(op string) error {
	if h.closed {
		return pathError(op, h.name, iofs.ErrClosed)
	}
	name := h.name // the name that the file was opened by; it may have another one now
	for now, n := range h.m.names {
		if n == h.n {
			name = now
		}
	}
	return h.m.begin(op, name)
}

func (h *handle) ReadAt(p []byte, off int64) (int, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if err := h.begin("read"); err != nil {
		return 0, err
	}
	if off >= int64(len(h.n.data)) {
		return 0, io.EOF
	}
	n := copy(p, h.n.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// ReadCached reads what Disk.Cached allows. It is no operation of the disk: nothing fails it,
// and nothing counts it.
func (h *handle) ReadCached(p []byte, off int64) (int, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if h.m.Cached == nil {
		return 0, errors.ErrUnsupported
	}
	if h.closed {
		return 0, pathError("read", h.name, iofs.ErrClosed)
	}
	off = min(off, int64(len(h.n.data)))
	n := min(h.m.Cached(h.name), len(p), len(h.n.data)-int(off))
	return copy(p[:n], h.n.data[off:]), nil
}

func (h *handle) WriteAt(p []byte, off int64) (int, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if !h.writable {
		panic("write through a handle that is for reading: " + h.name)
	}
	if err := h.begin("write"); err != nil {
		n := h.put(p[:len(p)/2], off) // a short write
		return n, err
	}
	if grow := off + int64(len(p)) - int64(len(h.n.data)); grow > 0 && h.m.Capacity > 0 {
		if free := h.m.Capacity - h.m.Used(); free < int(grow) {
			return h.put(p[:max(0, len(p)-int(grow)+free)], off), pathError("write", h.name, syscall.ENOSPC)
		}
	}
	return h.put(p, off), nil
}

func (h *handle) put(p []byte, off int64) int {
	if len(p) == 0 {
		return 0
	}
	h.m.do(Change{Op: "write", Name: h.name, n: h.n, Off: off, Data: slices.Clone(p)})
	return len(p)
}

func (h *handle) flush(op string) error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	err := h.begin(op)
	h.m.do(Change{Op: op, Name: h.name, n: h.n, failed: err != nil})
	return err
}

func (h *handle) Sync() error     { return h.flush("sync") }
func (h *handle) Datasync() error { return h.flush("datasync") }

func (h *handle) Truncate(size int64) error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if err := h.begin("truncate"); err != nil {
		return err
	}
	h.m.do(Change{Op: "truncate", Name: h.name, n: h.n, Off: size})
	return nil
}

func (h *handle) Size() (int64, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	return int64(len(h.n.data)), h.begin("size")
}

func (h *handle) Links() (int, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if h.m.NoLinks {
		return 0, h.begin("links")
	}
	return h.m.links(h.n), h.begin("links")
}

// links returns how many names a file has.
func (m *Disk) links(n *inode) (links int) {
	for _, other := range m.names {
		if other == n {
			links++
		}
	}
	return links
}

func (h *handle) IsAt(name string) (bool, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	return h.m.names[name] == h.n, h.begin("isAt")
}

func (h *handle) ID() (vfs.FileID, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if err := h.begin("id"); err != nil {
		return vfs.FileID{}, err
	}
	if h.m.ids[h.n] == 0 {
		h.m.ids[h.n] = uint64(len(h.m.ids) + 1)
	}
	return vfs.FileID{Inode: h.m.ids[h.n]}, nil
}

func (h *handle) Close() error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	err := h.begin("close")
	if !h.closed {
		h.m.handles--
	}
	h.letGo()
	for _, holders := range h.m.bytes {
		delete(holders, h)
	}
	h.closed = true
	return err
}
