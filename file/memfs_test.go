package file

import (
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"iter"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/tidemark-go/tidemark/file/internal/vfs"
)

// memFS is a file system in memory that knows what a power cut would leave: see
// disk_test.go for its states, and images_test.go for those that a crash allows.
type memFS struct {
	// hook is called before every operation, with mu held, and may fail it. The
	// name is that of the file concerned.
	hook func(op, name string) error

	mu       sync.Mutex
	names    map[string]*inode
	durable  map[string]*inode // names after a power cut
	unsynced []naming          // what has made names of durable
	renames  int               // numbers renames
	journal  *journal          // records changes, if not nil
	changes  int               // counts them
	locked   map[*inode]bool   // by lock
	handles  int               // open now

	// bytes: who has the lock of a byte; true is exclusively.
	bytes map[memByte]map[*memHandle]bool
	ids   map[*inode]uint64 // of those that were asked for
	// NoByteLocks: it has no locks on bytes, as other systems than Linux.
	NoByteLocks bool
	// NoLinks: it says that files have no names, as some file systems do.
	NoLinks bool
	// Capacity, if it is not 0, is how many bytes all files may have together.
	Capacity int
}

func newMemFS() *memFS {
	root := &inode{dir: true}
	return &memFS{
		names:   map[string]*inode{"/": root},
		durable: map[string]*inode{"/": root},
		locked:  map[*inode]bool{},
		bytes:   map[memByte]map[*memHandle]bool{},
		ids:     map[*inode]uint64{},
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

func (m *memFS) openAs(op, name string) (vfs.File, error) {
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

func (m *memFS) Absolute(dir string) (string, error) {
	return dir, nil // it has no working directory and no links
}

func (m *memFS) Open(name string) (vfs.File, error)      { return m.openAs("open", name) }
func (m *memFS) OpenWrite(name string) (vfs.File, error) { return m.openAs("openWrite", name) }

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
	m.do(change{op: op, name: name, n: n})
	return nil
}

func (m *memFS) Create(name string) (vfs.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := &inode{}
	if err := m.add("create", name, n); err != nil {
		return nil, err
	}
	m.handles++
	return &memHandle{m: m, n: n, name: name, writable: true}, nil
}

func (m *memFS) Mkdir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.add("mkdir", name, &inode{dir: true})
}

func (m *memFS) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("rename", to); err != nil {
		return err
	}
	if m.names[from] == nil {
		return pathError("rename", from, iofs.ErrNotExist)
	}
	m.do(change{op: "rename", name: from, to: to})
	return nil
}

func (m *memFS) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("remove", name); err != nil {
		return err
	}
	if m.names[name] == nil {
		return pathError("remove", name, iofs.ErrNotExist)
	}
	for other := range m.names {
		if other != name && filepath.Dir(other) == name {
			return pathError("remove", name, syscall.ENOTEMPTY)
		}
	}
	m.do(change{op: "remove", name: name})
	return nil
}

func (m *memFS) List(dir string) ([]string, error) {
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

func (m *memFS) Stat(name string) (int64, error) {
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

func (m *memFS) OpenDir(dir string) (vfs.Dir, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("openDir", dir); err != nil {
		return nil, err
	}
	if n := m.names[dir]; n == nil || !n.dir {
		return nil, pathError("openDir", dir, iofs.ErrNotExist)
	}
	m.handles++
	return &memDir{m: m, n: m.names[dir], name: dir}, nil
}

// flushDir makes the names in a directory durable.
func (m *memFS) flushDir(dir string) error {
	d, err := m.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.SyncDir(), d.Close())
}

type memDir struct {
	m      *memFS
	n      *inode
	name   string
	closed bool
}

func (d *memDir) SyncDir() error {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	if d.closed {
		return pathError("syncDir", d.name, iofs.ErrClosed)
	}
	if err := d.m.begin("syncDir", d.name); err != nil {
		return err
	}
	d.m.do(change{op: "syncDir", name: d.name})
	return nil
}

func (d *memDir) IsAt(dir string) (bool, error) {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	if err := d.m.begin("isAt", d.name); err != nil {
		return false, err
	}
	return d.m.names[dir] == d.n, nil
}

func (d *memDir) Close() error {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	if !d.closed {
		d.m.handles--
	}
	d.closed = true
	return d.m.begin("close", d.name)
}

func (m *memFS) Lock(name string) (func() error, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("lock", name); err != nil {
		return nil, err
	}
	n := m.names[name]
	if n == nil {
		n = &inode{}
		m.do(change{op: "create", name: name, n: n})
	}
	if m.links(n) > 1 {
		n = &inode{data: slices.Clone(n.data)}
		m.do(change{op: "create", name: name + ".own", n: n})
		m.do(change{op: "rename", name: name + ".own", to: name})
	}
	if m.locked[n] {
		return nil, vfs.ErrHeld
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
	if grow := off + int64(len(p)) - int64(len(h.n.data)); grow > 0 && h.m.Capacity > 0 {
		if free := h.m.Capacity - h.m.used(); free < int(grow) {
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
	if len(p) == 0 {
		return 0
	}
	h.m.do(change{op: "write", name: h.name, n: h.n, off: off, data: slices.Clone(p)})
	return len(p)
}

func (h *memHandle) flush(op string) error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	err := h.begin(op)
	h.m.do(change{op: op, name: h.name, n: h.n, failed: err != nil})
	return err
}

func (h *memHandle) Sync() error     { return h.flush("sync") }
func (h *memHandle) Datasync() error { return h.flush("datasync") }

func (h *memHandle) Truncate(size int64) error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if err := h.begin("truncate"); err != nil {
		return err
	}
	h.m.do(change{op: "truncate", name: h.name, n: h.n, off: size})
	return nil
}

func (h *memHandle) Size() (int64, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	return int64(len(h.n.data)), h.begin("size")
}

func (h *memHandle) Links() (int, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if h.m.NoLinks {
		return 0, h.begin("links")
	}
	return h.m.links(h.n), h.begin("links")
}

// links returns how many names a file has.
func (m *memFS) links(n *inode) (links int) {
	for _, other := range m.names {
		if other == n {
			links++
		}
	}
	return links
}

func (h *memHandle) IsAt(name string) (bool, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	return h.m.names[name] == h.n, h.begin("isAt")
}

func (h *memHandle) TryLock(exclusive bool) error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if err := h.begin("tryLock"); err != nil {
		return err
	}
	if exclusive {
		if h.n.held && !h.exclusive || h.n.shared > 0 {
			return vfs.ErrHeld
		}
		h.n.held, h.exclusive = true, true
		return nil
	}
	if h.n.held {
		return vfs.ErrHeld
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

// memByte is a byte of a file that may be locked.
type memByte struct {
	n  *inode
	at int64
}

func (h *memHandle) TryLockByte(at int64, exclusive bool) error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if err := h.begin("tryLockByte"); err != nil {
		return err
	}
	if h.m.NoByteLocks {
		return errors.ErrUnsupported
	}
	b := memByte{h.n, at}
	for other, alone := range h.m.bytes[b] {
		if other != h && (alone || exclusive) {
			return vfs.ErrHeld
		}
	}
	if h.m.bytes[b] == nil {
		h.m.bytes[b] = map[*memHandle]bool{}
	}
	h.m.bytes[b][h] = exclusive
	return nil
}

func (h *memHandle) UnlockByte(at int64) error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	delete(h.m.bytes[memByte{h.n, at}], h)
	return h.begin("unlockByte")
}

func (h *memHandle) ID() (vfs.FileID, error) {
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

func (h *memHandle) Unlock() error {
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
	for _, holders := range h.m.bytes {
		delete(holders, h)
	}
	h.closed = true
	return err
}

// leave puts an empty file there, as if an earlier process had.
func (m *memFS) leave(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.do(change{op: "create", name: name, n: &inode{}})
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

// Contents returns the contents of a file, to be read.
func (m *memFS) contents(name string) []byte { return m.at(name).data }

// Edit returns the contents of a file, to be changed in place.
func (m *memFS) file(name string) []byte {
	n := m.at(name)
	n.own()
	return n.data
}

// Alone runs f while no operation is under way, and none begins before it ends. f must call
// no operation.
func (m *memFS) Alone(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

// Meanwhile is for a hook that wants to do something with the disk itself: f may call
// operations, and so may others while it runs.
func (m *memFS) Meanwhile(f func()) {
	m.mu.Unlock()
	defer m.mu.Lock()
	f()
}

// Stall makes the disk hang in the first operation that at is true for, and with it all
// others. reached is closed when it does. letGo ends it, and takes the hook away.
func (m *memFS) Stall(at func(op, name string) bool) (reached <-chan struct{}, letGo func()) {
	stalled, gate := make(chan struct{}), make(chan struct{})
	var once sync.Once
	m.setHook(func(op, name string) error {
		if at(op, name) {
			once.Do(func() { close(stalled) })
			<-gate
		}
		return nil
	})
	return stalled, func() {
		close(gate)
		m.setHook(nil)
	}
}

// Everything is all that the disk holds, as name and contents: "dir", or "file " and the
// bytes of the file.
func (m *memFS) Everything() map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[string]string{}
	for name, n := range m.names {
		if all[name] = "file " + string(n.data); n.dir {
			all[name] = "dir"
		}
	}
	return all
}

// Handles returns how many files and directories are open.
func (m *memFS) Handles() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.handles
}

// Changes counts the operations that have changed something, failed flushes included.
func (m *memFS) Changes() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changes
}

// All yields the names of all files and directories, in any order.
func (m *memFS) All() iter.Seq[string] { return maps.Keys(m.names) }

// Has reports whether there is a file or directory of this name.
func (m *memFS) Has(name string) bool { return m.names[name] != nil }

// IsDir reports whether there is a directory of this name.
func (m *memFS) IsDir(name string) bool { return m.names[name] != nil && m.names[name].dir }

// lay gives a name to a file, or takes it away if n is nil, now and after a power cut.
func (m *memFS) lay(name string, n *inode) {
	p := naming{name: name, n: n}
	give(m.names, p)
	give(m.durable, p)
	m.unsynced = slices.DeleteFunc(slices.Clone(m.unsynced), func(p naming) bool { return p.name == name })
}

// Put makes a file of these contents, durably, in the place of what has the name. Handles
// that are open stay with the old file.
func (m *memFS) Put(name string, contents []byte) {
	m.lay(name, &inode{data: slices.Clone(contents), durable: slices.Clone(contents)})
}

// PutDir makes an empty directory, durably.
func (m *memFS) PutDir(name string) { m.lay(name, &inode{dir: true}) }

// Link gives a file another name, durably: a hard link.
func (m *memFS) Link(name, other string) { m.lay(other, m.at(name)) }

// Lose takes away a file, or a directory and all that is below it, durably.
func (m *memFS) Lose(name string) {
	for _, at := range m.below(name) {
		m.lay(at, nil)
	}
}

// Move gives a file, or a directory and all that is below it, another name, durably.
func (m *memFS) Move(from, to string) {
	for _, at := range m.below(from) {
		n := m.at(at)
		m.lay(at, nil)
		m.lay(to+strings.TrimPrefix(at, from), n)
	}
}

// below returns the names of a file or directory and of what is below it.
func (m *memFS) below(name string) (names []string) {
	for at := range m.names {
		if at == name || strings.HasPrefix(at, name+"/") {
			names = append(names, at)
		}
	}
	return names
}

// Resize cuts a file to a size in bytes, or appends zeros, as programs see it. Handles that
// are open see it too.
func (m *memFS) Resize(name string, size int) {
	n := m.at(name)
	n.own()
	n.data = resized(n.data, int64(size))
}

// at returns the file of a name, which must be there.
func (m *memFS) at(name string) *inode {
	n := m.names[name]
	if n == nil {
		panic(fmt.Sprintf("no file %s among %v", name, slices.Collect(m.All())))
	}
	return n
}

// CrashKeepingNames returns the disk after a power cut that has lost all contents that were
// not flushed, and no name.
func (m *memFS) CrashKeepingNames() *memFS {
	return m.after(cut{name: everything.name, sector: nothing.sector, size: nothing.size})
}
