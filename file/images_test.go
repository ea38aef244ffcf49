package file

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
)

// The crash-state enumerator. A workload runs once on a memFS that keeps a journal
// of every operation that changes something. From the journal the states of the
// disk are computed, for a crash after each operation: see kinds.
//
// They are the states that the assumptions in docs/promises.md allow, "What is assumed
// of disks and file systems". How those show here:
//
//   - A sector that was written several times since the last flush may hold any of its
//     contents.
//   - A file may have any size that it had since its last flush, independently of its
//     sectors. What it has got from the disk without contents reads as zeros or junk.
//   - Of a rename, both names may be found, or none; but a name that is replaced refers
//     to the old file or to the new one. Kind halfOrdered takes a prefix of the changes
//     with whole renames, as file systems with a journal do.
//   - Only the write that the crash interrupts ends within a sector: kind torn.
//   - What was flushed stays. Damage has tests of its own.
//
// What is not produced: a sector that holds neither old nor new contents, a file with
// the contents of another one, and names that were never given.

// kind is a way in which a crash can leave the disk.
type kind string

const (
	synced      kind = "only what was flushed"
	killed      kind = "everything, and not flushed" // as when the process dies
	half        kind = "half of the sectors and names"
	halfOrdered kind = "half of the sectors, names in order"
	mostOrFew   kind = "most or few of the sectors and names"
	torn        kind = "last write torn"
	renameLost  kind = "last renames lost"
	entryLost   kind = "one name lost"
)

var kinds = []kind{synced, killed, half, halfOrdered, mostOrFew, torn, renameLost, entryLost}

// journal is what has happened to a memFS since record.
type journal struct {
	base   *memFS
	inodes map[*inode]*inode // those that it had, and what they are in base
	steps  []step
}

// step is a change, or, if that has no operation, a mark between two.
type step struct {
	change
	mark any
}

// record begins a journal.
func (m *memFS) record() *journal {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.journal = &journal{}
	m.journal.base, m.journal.inodes = m.cloneInodes()
	return m.journal
}

// mark says in the journal what the workload knows from here on.
func (m *memFS) mark(known any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.journal != nil {
		m.journal.steps = append(m.journal.steps, step{mark: known})
	}
}

// end ends the journal.
func (m *memFS) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.journal = nil
}

// image is what a crash has left.
type image struct {
	fs      *memFS
	kind    kind
	mark    any // the last one before the crash
	at      int // step of the journal after which the crash came
	state   state
	journal *journal
	rng     *rand.Rand // for the test of this image
}

func (i image) String() string {
	var trail strings.Builder
	for at := max(0, i.at-7); at <= i.at; at++ {
		fmt.Fprintf(&trail, "\n  %d: %v", at, i.journal.steps[at])
	}
	return fmt.Sprintf("crash after step %d of %d: %s%s", i.at, len(i.journal.steps), i.kind, trail.String())
}

func (s step) String() string {
	switch s.op {
	case "":
		return fmt.Sprintf("mark %+v", s.mark)
	case "rename":
		return fmt.Sprintf("rename %s to %s", s.name, s.to)
	case "write":
		return fmt.Sprintf("write %d bytes at %d of %s", len(s.data), s.off, s.name)
	default:
		return s.op + " " + s.name
	}
}

// onFailure runs the test of an image. If it fails, it says which image it was, and
// writes its files to where artifacts of tests go.
func (i image) onFailure(t testing.TB, test func()) {
	left := i.fs.clone()
	defer func() {
		if !t.Failed() {
			return
		}
		t.Log(i)
		dir := t.ArtifactDir()
		for name, n := range left.names {
			path := filepath.Join(dir, name)
			if n.dir {
				_ = os.MkdirAll(path, 0o700)
			} else if os.MkdirAll(filepath.Dir(path), 0o700) == nil {
				_ = os.WriteFile(path, n.data, 0o600)
			}
		}
		t.Logf("with -artifacts its files are in %s", dir)
	}()
	test()
}

// state is what tells the images of a journal apart.
type state struct {
	sum    uint64 // of the files
	marks  int    // so far
	killed bool   // the same files, but not durable
}

// images yields the states that a crash after any change can leave, each once: a
// state is left out if an earlier one has the same files and the same mark. Every
// state depends on the journal, its place there and the seed alone. chosen, if not
// nil, says which to make at all.
func (j *journal) images(seed uint64, chosen func(rng *rand.Rand) bool) iter.Seq[image] {
	return func(yield func(image) bool) {
		m, copies := j.base.cloneInodes()
		now := map[*inode]*inode{} // recorded -> as of the step
		for recorded, base := range j.inodes {
			now[recorded] = copies[base]
		}
		seen := map[state]bool{}
		sums := sums{}
		var mark any
		marks := 0
		last := -1         // the last change
		var written *inode // by the last write
		states := func() bool {
			for k, kind := range kinds {
				rng := rand.New(rand.NewPCG(seed, uint64(last*len(kinds)+k)))
				if last < 0 || chosen != nil && !chosen(rng) {
					continue
				}
				fs := m.left(kind, rng, written)
				if fs == nil {
					continue
				}
				state := state{sums.of(fs), marks, kind == killed}
				if seen[state] {
					continue
				}
				seen[state] = true
				if !yield(image{fs: fs, kind: kind, mark: mark, at: last, state: state, journal: j, rng: rng}) {
					return false
				}
			}
			return true
		}
		for at, s := range j.steps {
			if s.op == "" {
				mark = s.mark
				marks++
				continue
			}
			if !states() {
				return
			}
			c := s.change
			if c.n != nil {
				if now[c.n] == nil {
					now[c.n] = &inode{dir: c.n.dir}
				}
				c.n = now[c.n]
			}
			m.apply(c)
			if last = at; c.op == "write" {
				written = c.n
			}
		}
		states()
	}
}

// left returns what a crash now can leave, or nil if there is no such thing. The
// last write was to the file written, if there was one.
func (m *memFS) left(k kind, rng *rand.Rand, written *inode) *memFS {
	switch k {
	case synced:
		return m.after(nothing)
	case killed:
		return m.clone()
	case half:
		c := someOf(rng, 0.5, 0.5)
		c.stale = staleFrom(rng)
		return m.after(c)
	case halfOrdered:
		c := someOf(rng, 0, 0.5)
		through := rng.IntN(len(m.unsynced) + 1)
		for through > 0 && through < len(m.unsynced) && m.unsynced[through].rename != 0 && m.unsynced[through].rename == m.unsynced[through-1].rename {
			through++
		}
		c.name = func(i int) bool { return i < through }
		return m.after(c)
	case mostOrFew:
		c := someOf(rng, 0.1, 0.1)
		if rng.IntN(2) == 0 {
			c = someOf(rng, 0.9, 0.9)
		}
		c.stale = staleFrom(rng)
		return m.after(c)
	case torn:
		return m.tornWrite(rng, written)
	case renameLost:
		var renames []int
		for _, p := range m.unsynced {
			if p.rename != 0 && !slices.Contains(renames, p.rename) {
				renames = append(renames, p.rename)
			}
		}
		if len(renames) == 0 {
			return nil
		}
		lost := renames[rng.IntN(len(renames)):]
		c := everything
		c.name = func(i int) bool { return !slices.Contains(lost, m.unsynced[i].rename) }
		return m.after(c)
	case entryLost:
		if len(m.unsynced) == 0 {
			return nil
		}
		lost := rng.IntN(len(m.unsynced))
		c := everything
		c.name = func(i int) bool { return i != lost }
		return m.after(c)
	}
	panic("no such kind: " + string(k))
}

// tornWrite returns the state in which the last write has ended at some byte. Of
// the rest, everything is on the disk, or what was flushed alone.
func (m *memFS) tornWrite(rng *rand.Rand, n *inode) *memFS {
	if n == nil || len(n.unsynced) == 0 || n.unsynced[len(n.unsynced)-1].data == nil {
		return nil
	}
	c := everything
	if rng.IntN(2) == 0 {
		c = nothing
		sector, size := c.sector, c.size
		c.sector = func(of *inode, s int64) int {
			if of == n {
				return everything.sector(of, s)
			}
			return sector(of, s)
		}
		c.size = func(of *inode) int {
			if of == n {
				return everything.size(of)
			}
			return size(of)
		}
	}
	whole := n.unsynced
	defer func() { n.unsynced = whole }()
	e := whole[len(whole)-1]
	n.unsynced = slices.Clone(whole)
	n.unsynced[len(whole)-1].data = e.data[:rng.IntN(len(e.data))]
	return m.after(c)
}

// staleFrom fills what a file has got from the disk with junk, or, half of the
// time, leaves zeros.
func staleFrom(rng *rand.Rand) func([]byte) {
	if rng.IntN(2) == 0 {
		return nil
	}
	junk := rng.Uint32() | 1
	return func(b []byte) {
		for i := range b {
			b[i] = byte(uint32(i) * junk >> 7)
		}
	}
}

// sums remembers the digests of contents that are shared by many images.
type sums map[contentsKey]uint64

type contentsKey struct {
	first *byte
	size  int
}

const maxSums = 1 << 14

// of returns a digest of the names and contents of all files.
func (s sums) of(m *memFS) (sum uint64) {
	if len(s) > maxSums {
		clear(s)
	}
	var d xxhash.Digest
	for name, n := range m.names {
		d.Reset()
		_, _ = d.WriteString(name)
		var b [8]byte
		c := s.contents(n.data)
		for i := range b {
			b[i] = byte(c >> (8 * i))
		}
		_, _ = d.Write(b[:])
		sum += d.Sum64()
	}
	return sum
}

func (s sums) contents(b []byte) uint64 {
	if len(b) == 0 {
		return 0
	}
	key := contentsKey{&b[0], len(b)}
	sum, ok := s[key]
	if !ok {
		sum = xxhash.Sum64(b)
		s[key] = sum
	}
	return sum
}
