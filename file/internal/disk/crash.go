package disk

import (
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
)

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
func (m *Disk) after(c cut) *Disk {
	names := maps.Clone(m.durable)
	for i, p := range m.unsynced {
		if c.name(i) {
			give(names, p)
		}
	}
	after := New()
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

// Crash returns what a power cut leaves: another disk, without hook, Capacity and locks. Of
// what was not flushed, each sector, size and name is kept with the probability keep. A
// sector or size that is not kept is what it was at some time before. With 0 only what was
// flushed is left, with 1 everything; random is not used then, and may be nil. It takes no
// lock.
func (m *Disk) Crash(random *rand.Rand, keep float64) *Disk {
	switch keep {
	case 0:
		return m.after(nothing)
	case 1:
		return m.after(everything)
	}
	return m.after(someOf(random, keep, keep))
}

// CrashKeepingNames is Crash for a power cut that takes all contents that were not flushed,
// and no name. It takes no lock.
func (m *Disk) CrashKeepingNames() *Disk {
	return m.after(cut{name: everything.name, sector: nothing.sector, size: nothing.size})
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

// Clone returns what a killed process leaves: another disk, with files and page cache as
// they are, without hook, Capacity and locks. It takes no lock.
func (m *Disk) Clone() *Disk {
	c, _ := m.cloneInodes()
	return c
}

func (m *Disk) cloneInodes() (*Disk, map[*inode]*inode) {
	after := New()
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
