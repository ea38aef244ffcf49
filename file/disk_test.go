package file

import (
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
)

// sector is what a disk writes whole or not at all, in bytes.
const sector = 512

// inode is a file or directory of a memFS. data is what programs see. What a power
// cut leaves is durable and whatever it likes of unsynced: see image.
type inode struct {
	dir      bool
	data     []byte
	durable  []byte
	unsynced []extent
	lent     bool // data is shared with others, so it must be copied before it changes
	strayed  bool // a flush has failed: data is not durable and unsynced together
	shared   int  // by tryLock
	held     bool // by tryLock, exclusively
}

// extent is a write that was not flushed, or a truncation if data is nil.
type extent struct {
	off  int64
	data []byte
}

// naming is a change of one name that was not flushed: its new inode, or nil.
type naming struct {
	op     string
	name   string
	n      *inode
	rename int // both halves of a rename have the same number; 0 for others
}

// change is one operation that changed a file system. Nothing else changes one, so
// the same changes lead to the same states wherever they are applied.
type change struct {
	op       string // create, mkdir, rename, remove, write, truncate, sync, datasync, syncDir
	name, to string
	n        *inode // created, written, truncated or flushed
	off      int64  // where a write begins, or the size after a truncation
	data     []byte // written; never changed
	failed   bool   // of a flush
}

// do makes a change, and records it if somebody wants to know.
func (m *memFS) do(c change) {
	m.changes++
	if m.journal != nil {
		m.journal.steps = append(m.journal.steps, step{change: c})
	}
	m.apply(c)
}

func (m *memFS) apply(c change) {
	switch c.op {
	case "create", "mkdir":
		m.give(naming{op: c.op, name: c.name, n: c.n})
	case "remove":
		m.give(naming{op: c.op, name: c.name})
	case "rename":
		m.renames++
		n := m.names[c.name]
		m.give(naming{op: c.op, name: c.to, n: n, rename: m.renames})
		m.give(naming{op: c.op, name: c.name, rename: m.renames})
	case "syncDir":
		m.unsynced = slices.DeleteFunc(slices.Clone(m.unsynced), func(p naming) bool {
			if filepath.Dir(p.name) != c.name {
				return false
			}
			give(m.durable, p)
			return true
		})
	case "write":
		c.n.write(extent{c.off, c.data})
	case "truncate":
		c.n.write(extent{off: c.off})
	case "sync", "datasync":
		c.n.flush(c.failed)
	}
}

func (m *memFS) give(p naming) {
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

// own makes data the inode's own, to be changed in place.
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

// end is the size of a file of the given size after the extent.
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

// flush makes the contents durable. One that fails leaves what was not durable
// clean: nothing will ever write it, as a kernel may have it.
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

// cut says what a power cut leaves of what was not flushed.
type cut struct {
	// name says whether the i-th unsynced naming is on the disk.
	name func(i int) bool
	// sector says how many of the unsynced extents of a file the sector has seen: what
	// it holds is what it was at that time, zeros if it was beyond the end.
	sector func(n *inode, s int64) int
	// size says the same of its size.
	size func(n *inode) int
	// stale, if not nil, fills a part of a file that the file has got from the disk and
	// not written.
	stale func([]byte)
}

// These cuts lose everything that was not flushed, and nothing.
var (
	nothing = cut{
		name:   func(int) bool { return false },
		sector: func(*inode, int64) int { return 0 },
		size:   func(*inode) int { return 0 },
	}
	everything = cut{
		name:   func(int) bool { return true },
		sector: func(n *inode, _ int64) int { return len(n.unsynced) },
		size:   func(n *inode) int { return len(n.unsynced) },
	}
)

// image is what the disk holds of a file after a cut.
func (n *inode) image(c cut) []byte {
	size := int64(len(n.durable))
	low := size // the shortest that the file has been meanwhile
	for _, e := range n.unsynced[:c.size(n)] {
		size = e.end(size)
		low = min(low, size)
	}
	image := resized(slices.Clone(n.durable[:low]), size)
	if c.stale != nil {
		c.stale(image[low:])
	}
	seen := map[int64]int{}
	for i, e := range n.unsynced {
		for s := e.off / sector; s*sector < e.off+int64(len(e.data)); s++ {
			k, ok := seen[s]
			if !ok {
				k = c.sector(n, s)
				seen[s] = k
				if from, to := max(low, s*sector), min(size, (s+1)*sector); k > 0 && from < to {
					clear(image[from:to])
				}
			}
			from, to := max(e.off, s*sector), min(e.off+int64(len(e.data)), (s+1)*sector, size)
			if i < k && from < to {
				copy(image[from:to], e.data[from-e.off:])
			}
		}
	}
	return image
}

// after returns the file system after a power cut. mu must be held, or nobody else
// be there.
func (m *memFS) after(c cut) *memFS {
	names := maps.Clone(m.durable)
	for i, p := range m.unsynced {
		if c.name(i) {
			give(names, p)
		}
	}
	after := newMemFS()
	after.NoLinks = m.NoLinks
	copies := map[*inode]*inode{}
	for _, name := range slices.Sorted(maps.Keys(names)) { // for the sake of c, which may draw
		n := names[name]
		if !reachable(names, name) {
			continue
		}
		if copies[n] == nil {
			image := n.durable
			if len(n.unsynced) > 0 {
				image = n.image(c)
			}
			copies[n] = &inode{dir: n.dir, data: image, durable: image, lent: true}
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

// crash returns the file system after a power cut. Of what was not flushed, each
// sector and each name is kept with the given probability, and other sectors are
// what they once were; a size is kept if nothing need be lost. mu must be held, or
// nobody else be there.
func (m *memFS) crash(random *rand.Rand, keep float64) *memFS {
	switch keep {
	case 0:
		return m.after(nothing)
	case 1:
		return m.after(everything)
	}
	return m.after(someOf(random, keep, keep))
}

// someOf keeps each name, and each sector and size, with the given probabilities.
// One that is not kept is what it was at any time before, the last flush included.
func someOf(random *rand.Rand, names, sectors float64) cut {
	seen := func(n *inode) int {
		if random.Float64() < sectors {
			return len(n.unsynced)
		}
		return random.IntN(len(n.unsynced))
	}
	return cut{
		name:   func(int) bool { return random.Float64() < names },
		sector: func(n *inode, _ int64) int { return seen(n) },
		size:   seen,
	}
}

// clone returns an independent copy of what a killed process leaves: files and
// page cache as they are, no locks.
func (m *memFS) clone() *memFS {
	c, _ := m.cloneInodes()
	return c
}

func (m *memFS) cloneInodes() (*memFS, map[*inode]*inode) {
	after := newMemFS()
	after.NoLinks = m.NoLinks
	copies := map[*inode]*inode{}
	copied := func(n *inode) *inode {
		if n != nil && copies[n] == nil {
			if !n.lent { // one that has been cloned before may be by several at once
				n.lent = true
			}
			copies[n] = &inode{
				dir: n.dir, data: n.data, durable: n.durable, lent: true,
				unsynced: slices.Clip(n.unsynced), strayed: n.strayed,
			}
		}
		return copies[n]
	}
	for name, n := range m.names {
		after.names[name] = copied(n)
	}
	for name, n := range m.durable {
		after.durable[name] = copied(n)
	}
	for _, p := range m.unsynced {
		p.n = copied(p.n)
		after.unsynced = append(after.unsynced, p)
	}
	after.renames = m.renames
	return after, copies
}
