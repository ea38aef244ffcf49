package disk

import (
	"errors"
	iofs "io/fs"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/tidemark-go/tidemark/file/internal/vfs"
)

// Disk is a file system in memory, which New makes. The documentation of the package says
// what it can do.
//
// Some methods take no lock; their docs say so. Call these in a hook, in Alone, or while
// nobody else uses the disk. Call all others at any time, but not in a hook and not in
// Alone: there they hang.
type Disk struct {
	// Capacity is how many bytes all files may have together; 0: there is no limit. A write
	// that needs more ends where the disk is full, with ENOSPC. Set it in a hook, in Alone,
	// or while nobody else uses the disk.
	Capacity int
	// NoLinks makes the disk say that every file has no name, as some file systems do. Set
	// it while nobody uses the disk.
	NoLinks bool
	// NoByteLocks: the disk has no locks on bytes, like systems other than Linux. Set it
	// while nobody uses the disk.
	NoByteLocks bool

	// Cached, if not nil, says how many bytes of a file, from where a read begins, the system
	// has in memory: see vfs.File.ReadCached. Set it while nobody uses the disk.
	Cached func(name string) int

	// mu is held during each operation. It guards the fields below, and the inodes.
	mu       sync.Mutex
	hook     func(op, name string) error // called before every operation
	names    map[string]*inode
	durable  map[string]*inode // names after a power cut
	unsynced []naming          // the changes that lead from durable to names
	renames  int               // numbers renames
	journal  *Journal          // records changes, if not nil
	changes  int               // counts changes
	locked   map[*inode]bool   // files that Lock has locked
	handles  int               // open files and directories

	// bytes has the handles that hold the lock on a byte. true means exclusively.
	bytes map[byteOf]map[*handle]bool
	ids   map[*inode]uint64 // the ids that were asked for
}

// New returns an empty disk, whose root directory is "/".
func New() *Disk {
	root := &inode{dir: true}
	return &Disk{
		names:   map[string]*inode{"/": root},
		durable: map[string]*inode{"/": root},
		locked:  map[*inode]bool{},
		bytes:   map[byteOf]map[*handle]bool{},
		ids:     map[*inode]uint64{},
	}
}

func (m *Disk) begin(op, name string) error {
	if m.hook != nil {
		return m.hook(op, name)
	}
	return nil
}

func pathError(op, name string, err error) error {
	return &iofs.PathError{Op: op, Path: name, Err: err}
}

func (m *Disk) openAs(op, name string) (vfs.File, error) {
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
	return &handle{m: m, n: n, name: name, writable: op != "open"}, nil
}

// Absolute returns dir: the disk has no working directory and no symbolic links.
func (m *Disk) Absolute(dir string) (string, error) {
	return dir, nil
}

// Open is that of vfs.FS.
func (m *Disk) Open(name string) (vfs.File, error) { return m.openAs("open", name) }

// OpenWrite is that of vfs.FS.
func (m *Disk) OpenWrite(name string) (vfs.File, error) { return m.openAs("openWrite", name) }

func (m *Disk) add(op, name string, n *inode) error {
	if err := m.begin(op, name); err != nil {
		return err
	}
	if m.names[name] != nil {
		return pathError(op, name, iofs.ErrExist)
	}
	if parent := m.names[filepath.Dir(name)]; parent == nil || !parent.dir {
		return pathError(op, name, iofs.ErrNotExist)
	}
	m.do(Change{Op: op, Name: name, n: n})
	return nil
}

// Create is that of vfs.FS.
func (m *Disk) Create(name string) (vfs.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := &inode{}
	if err := m.add("create", name, n); err != nil {
		return nil, err
	}
	m.handles++
	return &handle{m: m, n: n, name: name, writable: true}, nil
}

// Mkdir is that of vfs.FS.
func (m *Disk) Mkdir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.add("mkdir", name, &inode{dir: true})
}

// Rename is that of vfs.FS.
func (m *Disk) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("rename", to); err != nil {
		return err
	}
	if m.names[from] == nil {
		return pathError("rename", from, iofs.ErrNotExist)
	}
	m.do(Change{Op: "rename", Name: from, To: to})
	return nil
}

// Remove is that of vfs.FS.
func (m *Disk) Remove(name string) error {
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
	m.do(Change{Op: "remove", Name: name})
	return nil
}

// List is that of vfs.FS.
func (m *Disk) List(dir string) ([]string, error) {
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

// Stat is that of vfs.FS.
func (m *Disk) Stat(name string) (int64, error) {
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

// OpenDir is that of vfs.FS.
func (m *Disk) OpenDir(dir string) (vfs.Dir, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("openDir", dir); err != nil {
		return nil, err
	}
	if n := m.names[dir]; n == nil || !n.dir {
		return nil, pathError("openDir", dir, iofs.ErrNotExist)
	}
	m.handles++
	return &directory{m: m, n: m.names[dir], name: dir}, nil
}

// FlushDir makes the names in a directory durable: it opens the directory, flushes it, and
// closes it.
func (m *Disk) FlushDir(dir string) error {
	d, err := m.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.SyncDir(), d.Close())
}

// directory is an open directory of a Disk.
type directory struct {
	m      *Disk
	n      *inode
	name   string
	closed bool
}

func (d *directory) SyncDir() error {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	if d.closed {
		return pathError("syncDir", d.name, iofs.ErrClosed)
	}
	if err := d.m.begin("syncDir", d.name); err != nil {
		return err
	}
	d.m.do(Change{Op: "syncDir", Name: d.name})
	return nil
}

func (d *directory) IsAt(dir string) (bool, error) {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	if err := d.m.begin("isAt", d.name); err != nil {
		return false, err
	}
	return d.m.names[dir] == d.n, nil
}

func (d *directory) Close() error {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	if !d.closed {
		d.m.handles--
	}
	d.closed = true
	return d.m.begin("close", d.name)
}
