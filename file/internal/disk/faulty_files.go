package disk

import (
	"github.com/tidemark-go/tidemark/file/internal/vfs"
)

// try runs an operation. If the plan fails the operation, it has no effect.
func (f *Faulty) try(op, name string, do func() error) error {
	_, err := f.enter(op, name)
	defer f.leave()
	if err != nil {
		return err
	}
	return do()
}

func (f *Faulty) openAs(op, name string, open func(string) (vfs.File, error)) (vfs.File, error) {
	var h vfs.File
	err := f.try(op, name, func() (err error) {
		h, err = open(name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &faultyFile{f: f, h: h, mem: h.(*handle)}, nil //nolint:errcheck // a Disk opens nothing else
}

// Absolute is that of vfs.FS, with the plan.
func (f *Faulty) Absolute(dir string) (path string, err error) {
	err = f.try("absolute", dir, func() error {
		path, err = f.Disk.Absolute(dir)
		return err
	})
	return path, err
}

// Open is that of vfs.FS, with the plan.
func (f *Faulty) Open(name string) (vfs.File, error) { return f.openAs("open", name, f.Disk.Open) }

// OpenWrite is that of vfs.FS, with the plan.
func (f *Faulty) OpenWrite(name string) (vfs.File, error) {
	return f.openAs("openWrite", name, f.Disk.OpenWrite)
}

// Create is that of vfs.FS, with the plan.
func (f *Faulty) Create(name string) (vfs.File, error) {
	return f.openAs("create", name, f.Disk.Create)
}

// Mkdir is that of vfs.FS, with the plan.
func (f *Faulty) Mkdir(name string) error {
	return f.try("mkdir", name, func() error { return f.Disk.Mkdir(name) })
}

// Rename is that of vfs.FS, with the plan.
func (f *Faulty) Rename(from, to string) error {
	return f.try("rename", from, func() error {
		if f.poisoned[from] {
			f.blame("%s got the name %s although its flush had failed", from, to)
		}
		return f.Disk.Rename(from, to)
	})
}

// Remove is that of vfs.FS, with the plan.
func (f *Faulty) Remove(name string) error {
	return f.try("remove", name, func() error {
		delete(f.poisoned, name)
		return f.Disk.Remove(name)
	})
}

// List is that of vfs.FS, with the plan.
func (f *Faulty) List(dir string) (names []string, err error) {
	err = f.try("list", dir, func() error {
		names, err = f.Disk.List(dir)
		return err
	})
	return names, err
}

// Stat is that of vfs.FS, with the plan.
func (f *Faulty) Stat(name string) (size int64, err error) {
	err = f.try("stat", name, func() error {
		size, err = f.Disk.Stat(name)
		return err
	})
	return size, err
}

// OpenDir is that of vfs.FS, with the plan.
func (f *Faulty) OpenDir(dir string) (d vfs.Dir, err error) {
	err = f.try("openDir", dir, func() error {
		d, err = f.Disk.OpenDir(dir)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &faultyDir{f: f, d: d, name: dir}, nil
}

// Lock is that of vfs.FS, with the plan.
func (f *Faulty) Lock(name string) (func() error, error) {
	var unlock func() error
	err := f.try("lock", name, func() (err error) {
		unlock, err = f.Disk.Lock(name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return func() error {
		_, err := f.enter("unlock", name)
		defer f.leave()
		f.inject = err
		return unlock() // it gives up the lock even if it fails
	}, nil
}

// faultyDir is a directory of a Faulty.
type faultyDir struct {
	f    *Faulty
	d    vfs.Dir
	name string
}

func (d *faultyDir) SyncDir() error {
	f := d.f
	_, err := f.enter("syncDir", d.name)
	defer f.leave()
	if f.lostDirs[d.name] {
		f.blame("directory %s was flushed again after its flush had failed", d.name)
	}
	if err != nil {
		f.lostDirs[d.name] = true
	}
	f.inject = err
	return d.d.SyncDir()
}

func (d *faultyDir) IsAt(dir string) (is bool, err error) {
	err = d.f.try("isAt", d.name, func() error {
		is, err = d.d.IsAt(dir)
		return err
	})
	return is, err
}

// Close closes the directory even if it fails.
func (d *faultyDir) Close() error {
	_, err := d.f.enter("close", d.name)
	defer d.f.leave()
	d.f.inject = err
	return d.d.Close()
}

// faultyFile is a file of a Faulty.
type faultyFile struct {
	f   *Faulty
	h   vfs.File
	mem *handle
}

// name is the name that the file has now; if it has none, the name that it was opened by.
func (h *faultyFile) name() string {
	for name, n := range h.f.Disk.names {
		if n == h.mem.n {
			return name
		}
	}
	return h.mem.name
}

// enter begins an operation on the file. Errors have the name that the file was opened by,
// as those of the operating system do.
func (h *faultyFile) enter(op string) (FaultKind, error) {
	kind, err := h.f.enter(op, h.mem.name)
	if err != nil && h.f.firedAt == h.mem.name {
		h.f.firedAt = h.name()
	}
	return kind, err
}

func (h *faultyFile) ReadAt(p []byte, off int64) (int, error) {
	_, err := h.enter("read")
	defer h.f.leave()
	if err != nil {
		return 0, err
	}
	return h.h.ReadAt(p, off)
}

func (h *faultyFile) ReadCached(p []byte, off int64) (int, error) { return h.h.ReadCached(p, off) }

func (h *faultyFile) WriteAt(p []byte, off int64) (int, error) {
	kind, err := h.enter("write")
	defer h.f.leave()
	if name := h.name(); h.f.poisoned[name] {
		h.f.blame("%s was written although its flush had failed", name)
	}
	switch {
	case kind == ShortWrite:
		n, _ := h.h.WriteAt(p[:len(p)/2], off)
		return n, err
	case err != nil:
		return 0, err
	}
	return h.h.WriteAt(p, off)
}

// flush fails as in a kernel: what was dirty is then clean, and not durable.
func (h *faultyFile) flush(op string, flush func() error) error {
	_, err := h.enter(op)
	defer h.f.leave()
	name := h.name()
	if h.f.poisoned[name] {
		h.f.blame("%s was flushed again after its flush had failed", name)
	}
	if err != nil {
		h.f.poisoned[name] = true
	}
	h.f.inject = err
	return flush()
}

func (h *faultyFile) Sync() error     { return h.flush("sync", h.h.Sync) }
func (h *faultyFile) Datasync() error { return h.flush("datasync", h.h.Datasync) }

func (h *faultyFile) Truncate(size int64) error {
	_, err := h.enter("truncate")
	defer h.f.leave()
	if err != nil {
		return err
	}
	return h.h.Truncate(size)
}

func (h *faultyFile) Size() (int64, error) {
	_, err := h.enter("size")
	defer h.f.leave()
	if err != nil {
		return 0, err
	}
	return h.h.Size()
}

func (h *faultyFile) Links() (int, error) {
	_, err := h.enter("links")
	defer h.f.leave()
	if err != nil {
		return 0, err
	}
	return h.h.Links()
}

func (h *faultyFile) IsAt(name string) (bool, error) {
	_, err := h.enter("isAt")
	defer h.f.leave()
	if err != nil {
		return false, err
	}
	return h.h.IsAt(name)
}

func (h *faultyFile) TryLock(exclusive bool) error {
	_, err := h.enter("tryLock")
	defer h.f.leave()
	if err != nil {
		return err
	}
	return h.h.TryLock(exclusive)
}

func (h *faultyFile) Unlock() error {
	_, err := h.enter("unlock")
	defer h.f.leave()
	h.f.inject = err
	return h.h.Unlock()
}

func (h *faultyFile) TryLockByte(at int64, exclusive bool) error {
	_, err := h.enter("tryLockByte")
	defer h.f.leave()
	if err != nil {
		return err
	}
	return h.h.TryLockByte(at, exclusive)
}

func (h *faultyFile) UnlockByte(at int64) error {
	_, err := h.enter("unlockByte")
	defer h.f.leave()
	h.f.inject = err
	return h.h.UnlockByte(at)
}

func (h *faultyFile) ID() (vfs.FileID, error) {
	_, err := h.enter("id")
	defer h.f.leave()
	if err != nil {
		return vfs.FileID{}, err
	}
	return h.h.ID()
}

// Close closes the file even if it fails.
func (h *faultyFile) Close() error {
	_, err := h.enter("close")
	defer h.f.leave()
	h.f.inject = err
	return h.h.Close()
}
