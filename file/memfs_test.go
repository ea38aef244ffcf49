package file

import (
	"context"
	"fmt"
	"io"
	iofs "io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// memFS is a file system in memory that knows what a power cut would leave. A
// write is dirty until it is flushed, sector by sector; a name is volatile until
// its directory is flushed. A flush that fails leaves the dirty sectors clean
// but not durable, as a kernel may.
type memFS struct {
	// hook is called before every operation, with mu held, and may fail it. The
	// name is that of the file concerned.
	hook func(op, name string) error

	mu      sync.Mutex
	names   map[string]*inode
	durable map[string]*inode // names after a power cut
	locked  map[*inode]bool   // by lock
	handles int               // open now

	// capacity, if it is not 0, is how many bytes all files may have together.
	capacity int
}

type inode struct {
	dir     bool
	data    []byte
	durable []byte
	dirty   map[int64]bool // sectors
	shared  int            // by tryLock
	held    bool           // by tryLock, exclusively
}

const sector = 512

func newMemFS() *memFS {
	root := &inode{dir: true}
	return &memFS{
		names:   map[string]*inode{"/": root},
		durable: map[string]*inode{"/": root},
		locked:  map[*inode]bool{},
	}
}

// setHook changes the hook while others may be at work.
func (m *memFS) setHook(hook func(op, name string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hook = hook
}

func (m *memFS) begin(op, name string) error {
	if m.hook != nil {
		return m.hook(op, name)
	}
	return nil
}

func pathError(op, name string, err error) error {
	return &iofs.PathError{Op: op, Path: name, Err: err}
}

func (m *memFS) openAs(op, name string) (handle, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin(op, name); err != nil {
		return nil, err
	}
	n := m.names[name]
	if n == nil {
		return nil, pathError(op, name, iofs.ErrNotExist)
	}
	m.handles++
	return &memHandle{m: m, n: n, name: name, writable: op != "open"}, nil
}

func (m *memFS) open(name string) (handle, error)      { return m.openAs("open", name) }
func (m *memFS) openWrite(name string) (handle, error) { return m.openAs("openWrite", name) }

func (m *memFS) add(op, name string, n *inode) error {
	if err := m.begin(op, name); err != nil {
		return err
	}
	if m.names[name] != nil {
		return pathError(op, name, iofs.ErrExist)
	}
	if parent := m.names[filepath.Dir(name)]; parent == nil || !parent.dir {
		return pathError(op, name, iofs.ErrNotExist)
	}
	m.names[name] = n
	return nil
}

func (m *memFS) create(name string) (handle, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := &inode{dirty: map[int64]bool{}}
	if err := m.add("create", name, n); err != nil {
		return nil, err
	}
	m.handles++
	return &memHandle{m: m, n: n, name: name, writable: true}, nil
}

func (m *memFS) mkdir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.add("mkdir", name, &inode{dir: true})
}

func (m *memFS) rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("rename", to); err != nil {
		return err
	}
	if m.names[from] == nil {
		return pathError("rename", from, iofs.ErrNotExist)
	}
	m.names[to] = m.names[from]
	delete(m.names, from)
	return nil
}

func (m *memFS) remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("remove", name); err != nil {
		return err
	}
	if m.names[name] == nil {
		return pathError("remove", name, iofs.ErrNotExist)
	}
	delete(m.names, name)
	return nil
}

func (m *memFS) list(dir string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("list", dir); err != nil {
		return nil, err
	}
	if m.names[dir] == nil {
		return nil, pathError("list", dir, iofs.ErrNotExist)
	}
	var names []string
	for name := range m.names {
		if name != "/" && filepath.Dir(name) == dir {
			names = append(names, filepath.Base(name))
		}
	}
	return names, nil
}

func (m *memFS) stat(name string) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("stat", name); err != nil {
		return 0, err
	}
	if m.names[name] == nil {
		return 0, pathError("stat", name, iofs.ErrNotExist)
	}
	return int64(len(m.names[name].data)), nil
}

func (m *memFS) syncDir(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("syncDir", dir); err != nil {
		return err
	}
	if m.names[dir] == nil {
		return pathError("syncDir", dir, iofs.ErrNotExist)
	}
	for name := range m.durable {
		if name != "/" && filepath.Dir(name) == dir && m.names[name] == nil {
			delete(m.durable, name)
		}
	}
	for name, n := range m.names {
		if filepath.Dir(name) == dir {
			m.durable[name] = n
		}
	}
	return nil
}

func (m *memFS) lock(name string) (func() error, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("lock", name); err != nil {
		return nil, err
	}
	n := m.names[name]
	if n == nil {
		n = &inode{dirty: map[int64]bool{}}
		m.names[name] = n
	}
	if m.locked[n] {
		return nil, errHeld
	}
	m.locked[n] = true
	return func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.locked, n)
		return m.begin("unlock", name)
	}, nil
}

type memHandle struct {
	m                 *memFS
	n                 *inode
	name              string
	writable          bool
	shared, exclusive bool
	closed            bool
}

func (h *memHandle) begin(op string) error {
	if h.closed {
		return pathError(op, h.name, iofs.ErrClosed)
	}
	name := h.name // as it was when the file was opened; it may have another one now
	for now, n := range h.m.names {
		if n == h.n {
			name = now
		}
	}
	return h.m.begin(op, name)
}

func (h *memHandle) ReadAt(p []byte, off int64) (int, error) {
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

func (h *memHandle) WriteAt(p []byte, off int64) (int, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if !h.writable {
		panic("write through a handle that is for reading: " + h.name)
	}
	if err := h.begin("write"); err != nil {
		n := h.put(p[:len(p)/2], off) // a short write
		return n, err
	}
	if grow := off + int64(len(p)) - int64(len(h.n.data)); grow > 0 && h.m.capacity > 0 {
		if free := h.m.capacity - h.m.used(); free < int(grow) {
			return h.put(p[:max(0, len(p)-int(grow)+free)], off), pathError("write", h.name, syscall.ENOSPC)
		}
	}
	return h.put(p, off), nil
}

func (m *memFS) used() (n int) {
	for _, inode := range m.names {
		n += len(inode.data)
	}
	return n
}

func (h *memHandle) put(p []byte, off int64) int {
	if grow := off + int64(len(p)) - int64(len(h.n.data)); grow > 0 {
		h.n.data = append(h.n.data, make([]byte, grow)...)
	}
	copy(h.n.data[off:], p)
	for s := off / sector; s*sector < off+int64(len(p)); s++ {
		h.n.dirty[s] = true
	}
	return len(p)
}

func (h *memHandle) flush(op string) error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	err := h.begin(op)
	if err == nil {
		h.n.durable = h.n.image(func(int64) bool { return true })
	}
	clear(h.n.dirty) // if it failed, nothing will ever write them
	return err
}

func (h *memHandle) sync() error     { return h.flush("sync") }
func (h *memHandle) datasync() error { return h.flush("datasync") }

func (h *memHandle) truncate(size int64) error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if err := h.begin("truncate"); err != nil {
		return err
	}
	h.n.data = append([]byte(nil), h.n.data[:size]...)
	return nil
}

func (h *memHandle) size() (int64, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	return int64(len(h.n.data)), h.begin("size")
}

func (h *memHandle) tryLock(exclusive bool) error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if err := h.begin("tryLock"); err != nil {
		return err
	}
	if exclusive {
		if h.n.held && !h.exclusive || h.n.shared > 0 {
			return errHeld
		}
		h.n.held, h.exclusive = true, true
		return nil
	}
	if h.n.held {
		return errHeld
	}
	h.n.shared++
	h.shared = true
	return nil
}

func (h *memHandle) letGo() {
	if h.exclusive {
		h.n.held = false
	}
	if h.shared {
		h.n.shared--
	}
	h.exclusive, h.shared = false, false
}

func (h *memHandle) unlock() error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	h.letGo()
	return h.begin("unlock")
}

func (h *memHandle) Close() error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	err := h.begin("close")
	if !h.closed {
		h.m.handles--
	}
	h.letGo()
	h.closed = true
	return err
}

// image is what is on the medium if of the dirty sectors those are written that
// choose says.
func (n *inode) image(choose func(sector int64) bool) []byte {
	image := append([]byte(nil), n.durable...)
	for s := range n.dirty {
		if !choose(s) {
			continue
		}
		end := min((s+1)*sector, int64(len(n.data)))
		if grow := end - int64(len(image)); grow > 0 {
			image = append(image, make([]byte, grow)...)
		}
		if end > s*sector {
			copy(image[s*sector:end], n.data[s*sector:end])
		}
	}
	return image
}

// crash returns the file system after a power cut. Of what was not flushed, each
// sector and each name is kept with the given probability. mu must be held, or
// nobody else be there.
func (m *memFS) crash(random *rand.Rand, keep float64) *memFS {
	kept := func() bool { return keep > 0 && (keep == 1 || random.Float64() < keep) }
	names := map[string]*inode{}
	all := maps.Clone(m.durable)
	maps.Copy(all, m.names)
	for name := range all {
		n := m.durable[name]
		if kept() {
			n = m.names[name]
		}
		if n != nil {
			names[name] = n
		}
	}
	after := newMemFS()
	copies := map[*inode]*inode{}
	for name, n := range names {
		if !reachable(names, name) {
			continue
		}
		if copies[n] == nil {
			image := n.image(func(int64) bool { return kept() })
			copies[n] = &inode{dir: n.dir, data: image, durable: append([]byte(nil), image...), dirty: map[int64]bool{}}
		}
		after.names[name] = copies[n]
	}
	after.durable = maps.Clone(after.names)
	return after
}

func reachable(names map[string]*inode, name string) bool {
	for dir := filepath.Dir(name); dir != "/"; dir = filepath.Dir(dir) {
		if names[dir] == nil {
			return false
		}
	}
	return true
}

// clone returns an independent copy of what a killed process leaves: files and
// page cache as they are, no locks.
func (m *memFS) clone() *memFS {
	after := newMemFS()
	copies := map[*inode]*inode{}
	copied := func(names map[string]*inode) map[string]*inode {
		to := map[string]*inode{}
		for name, n := range names {
			if copies[n] == nil {
				copies[n] = &inode{dir: n.dir, data: slices.Clone(n.data), durable: slices.Clone(n.durable), dirty: maps.Clone(n.dirty)}
			}
			to[name] = copies[n]
		}
		return to
	}
	after.names, after.durable = copied(m.names), copied(m.durable)
	return after
}

// leave puts an empty file there, as if an earlier process had.
func (m *memFS) leave(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.names[name] = &inode{dirty: map[int64]bool{}}
}

// only returns the names of the files whose base begins with prefix.
func (m *memFS) only(prefix string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	for name := range m.names {
		if strings.HasPrefix(filepath.Base(name), prefix) {
			names = append(names, name)
		}
	}
	return names
}

// file returns the contents of a file, to be changed in place.
func (m *memFS) file(name string) []byte {
	n := m.names[name]
	if n == nil {
		panic(fmt.Sprintf("no file %s among %v", name, m.only("")))
	}
	return n.data
}

// noContext is a context that never ends, for helpers without a test.
type noContext struct{ context.Context }

func (noContext) Err() error { return nil }
