package disk

import (
	"errors"
	"slices"

	"github.com/tidemark-go/tidemark/file/internal/vfs"
)

// Lock is that of vfs.FS. If the file has other names too, Lock first replaces it by a
// copy, as package file does.
func (m *Disk) Lock(name string) (func() error, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("lock", name); err != nil {
		return nil, err
	}
	n := m.names[name]
	if n == nil {
		n = &inode{}
		m.do(Change{Op: "create", Name: name, n: n})
	}
	if m.links(n) > 1 {
		n = &inode{data: slices.Clone(n.data)}
		m.do(Change{Op: "create", Name: name + ".own", n: n})
		m.do(Change{Op: "rename", Name: name + ".own", To: name})
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

func (h *handle) TryLock(exclusive bool) error {
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

func (h *handle) Unlock() error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	h.letGo()
	return h.begin("unlock")
}

func (h *handle) letGo() {
	if h.exclusive {
		h.n.held = false
	}
	if h.shared {
		h.n.shared--
	}
	h.exclusive, h.shared = false, false
}

// byteOf is a byte of a file. The byte may be locked.
type byteOf struct {
	n  *inode
	at int64
}

func (h *handle) TryLockByte(at int64, exclusive bool) error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if err := h.begin("tryLockByte"); err != nil {
		return err
	}
	if h.m.NoByteLocks {
		return errors.ErrUnsupported
	}
	b := byteOf{h.n, at}
	for other, alone := range h.m.bytes[b] {
		if other != h && (alone || exclusive) {
			return vfs.ErrHeld
		}
	}
	if h.m.bytes[b] == nil {
		h.m.bytes[b] = map[*handle]bool{}
	}
	h.m.bytes[b][h] = exclusive
	return nil
}

func (h *handle) UnlockByte(at int64) error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	delete(h.m.bytes[byteOf{h.n, at}], h)
	return h.begin("unlockByte")
}
