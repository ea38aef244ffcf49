package disk

import (
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
)

// cut says which unflushed changes a power cut leaves on the disk.
type cut struct {
	// name says whether the i-th unsynced naming is on the disk.
	name func(i int) bool
	// sector says how many of the unsynced extents of a file have reached a sector. The sector
	// holds its contents at that time, or zeros if it was beyond the end.
	sector func(n *inode, s int64) int
	// size says how many of the extents have reached the size of the file.
	size func(n *inode) int
	// stale, if not nil, fills a part of a file that was never written.
	stale func([]byte)
}

// The cut nothing leaves nothing of what was not flushed. The cut everything leaves all of it.
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

// image returns the contents of a file after a cut.
func (n *inode) image(c cut) []byte {
	size := int64(len(n.durable))
	low := size // the smallest size that the file has had since its last flush
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

// after returns the file system after a power cut. REQUIRES: mu is held, or nobody else
// uses the disk.
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
	for _, name := range slices.Sorted(maps.Keys(names)) { // sorted, because c may draw at random
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

// Crash returns the disk after a power cut: another disk, without hook, Capacity and locks.
// It takes no lock.
//
// Of what was not flushed, each sector, size and name is kept with the probability keep. A
// sector or size that is not kept is what it was at some time before. With keep 0 only what
// was flushed is left, with 1 everything. In these two cases random is not used, and may be
// nil.
func (m *Disk) Crash(random *rand.Rand, keep float64) *Disk {
	switch keep {
	case 0:
		return m.after(nothing)
	case 1:
		return m.after(everything)
	}
	return m.after(someOf(random, keep, keep))
}

// CrashKeepingNames is Crash for a power cut that loses all contents that were not flushed,
// and no name. It takes no lock.
func (m *Disk) CrashKeepingNames() *Disk {
	return m.after(cut{name: everything.name, sector: nothing.sector, size: nothing.size})
}

// someOf keeps each name, and each sector and size, with the given probabilities. A sector
// or size that is not kept is what it was at some time before, the last flush included.
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

// Clone returns the disk as it is after a kill of the process: another disk with the same
// files and page cache, without hook, Capacity and locks. It takes no lock.
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
			if !n.lent { // several goroutines may clone a disk at once: write only the first time
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
