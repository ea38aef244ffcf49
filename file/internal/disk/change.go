package disk

import (
	"path/filepath"
	"slices"
)

// sector is the size of the unit that a disk writes whole or not at all, in bytes.
const sector = 512

// inode is a file or directory of a Disk. data is what programs see. After a power cut the
// file is made of durable and any of the changes in unsynced: see inode.image.
type inode struct {
	dir      bool
	data     []byte
	durable  []byte
	unsynced []extent
	lent     bool // data is shared with others, so it must be copied before it changes
	strayed  bool // a flush has failed: durable and unsynced together do not make data
	shared   int  // how many handles hold the shared lock of tryLock
	held     bool // a handle holds the exclusive lock of tryLock
}

// extent is a write that was not flushed. If data is nil, it is a truncation.
type extent struct {
	off  int64
	data []byte
}

// naming is a change of one name that was not flushed. n is the new inode; nil: the name is
// gone.
type naming struct {
	op     string
	name   string
	n      *inode
	rename int // both halves of a rename have the same number; 0 for others
}

// Change is one operation that changed a disk. Only operations, and the methods of lay.go,
// change a disk. So the same changes lead to the same states wherever they are applied.
type Change struct {
	Op       string // create, mkdir, rename, remove, write, truncate, sync, datasync, syncDir
	Name, To string
	n        *inode // created, written, truncated or flushed
	Off      int64  // where a write begins, or the size after a truncation
	Data     []byte // written; never changed
	failed   bool   // the flush has failed
}

// do makes a change, and records it if there is a journal.
func (m *Disk) do(c Change) {
	m.changes++
	if m.journal != nil {
		m.journal.steps = append(m.journal.steps, Step{Change: c})
	}
	m.apply(c)
}

func (m *Disk) apply(c Change) {
	switch c.Op {
	case "create", "mkdir":
		m.give(naming{op: c.Op, name: c.Name, n: c.n})
	case "remove":
		m.give(naming{op: c.Op, name: c.Name})
	case "rename":
		m.renames++
		n := m.names[c.Name]
		m.give(naming{op: c.Op, name: c.To, n: n, rename: m.renames})
		m.give(naming{op: c.Op, name: c.Name, rename: m.renames})
	case "syncDir":
		m.unsynced = slices.DeleteFunc(slices.Clone(m.unsynced), func(p naming) bool {
			if filepath.Dir(p.name) != c.Name {
				return false
			}
			give(m.durable, p)
			return true
		})
	case "write":
		c.n.write(extent{c.Off, c.Data})
	case "truncate":
		c.n.write(extent{off: c.Off})
	case "sync", "datasync":
		c.n.flush(c.failed)
	}
}

func (m *Disk) give(p naming) {
	give(m.names, p)
	m.unsynced = append(m.unsynced, p)
}

func give(names map[string]*inode, p naming) {
	if p.n == nil {
		delete(names, p.name)
	} else {
		names[p.name] = p.n
	}
}

// own makes data the inode's own, so that it can be changed in place.
func (n *inode) own() {
	if n.lent {
		n.data, n.lent = slices.Clone(n.data), false
	}
}

func (n *inode) write(e extent) {
	n.own()
	n.data = e.on(n.data)
	n.unsynced = append(n.unsynced, e)
}

// end is the size of a file after the extent, if it had the given size before.
func (e extent) end(size int64) int64 {
	if e.data == nil {
		return e.off
	}
	return max(size, e.off+int64(len(e.data)))
}

func (e extent) on(data []byte) []byte {
	data = resized(data, e.end(int64(len(data))))
	copy(data[e.off:], e.data)
	return data
}

func resized(data []byte, size int64) []byte {
	if grow := size - int64(len(data)); grow > 0 {
		return append(data, make([]byte, grow)...)
	}
	return data[:size:size]
}

// flush makes the contents durable. A flush that fails makes the file clean, but not
// durable: nothing will ever write these contents. A kernel may do so too.
func (n *inode) flush(failed bool) {
	switch {
	case failed:
		n.strayed = n.strayed || len(n.unsynced) > 0
	case n.strayed:
		n.durable = n.image(everything)
	default:
		n.durable, n.lent = n.data, true
	}
	n.unsynced = nil
}
