package disk

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// This file is the enumerator of crash states. A workload runs once on a disk that keeps a
// journal of every operation that changes something. From the journal the enumerator computes
// the states of the disk, for a crash after each operation: see Kinds.
//
// They are the states that docs/promises.md allows, in the section "What is assumed of disks
// and file systems". These are the rules here:
//
//   - A sector that was written several times since the last flush may hold any of these
//     contents.
//   - A file may have any size that it had since its last flush, independently of its
//     sectors. A part of the file that was never written reads as zeros or junk.
//   - Of a rename, both names may be found, or none; but a name that is replaced refers
//     to the old file or to the new one. Kind HalfOrdered takes a prefix of the changes
//     with whole renames, as file systems with a journal do.
//   - Only the write that the crash interrupts ends within a sector: kind Torn.
//   - What was flushed stays. Damage has tests of its own.
//
// The enumerator never makes a sector that holds neither old nor new contents, a file with the
// contents of another one, or a name that was never given.

// Kind is a way in which a crash can leave the disk.
type Kind string

// The kinds of crashes.
const (
	Synced      Kind = "only what was flushed"
	Killed      Kind = "everything, and not flushed" // as after a kill of the process
	Half        Kind = "half of the sectors and names"
	HalfOrdered Kind = "half of the sectors, names in order"
	MostOrFew   Kind = "most or few of the sectors and names"
	Torn        Kind = "last write torn"
	RenameLost  Kind = "last renames lost"
	EntryLost   Kind = "one name lost"
)

// Kinds returns all kinds.
func Kinds() []Kind { return slices.Clone(kinds) }

var kinds = []Kind{Synced, Killed, Half, HalfOrdered, MostOrFew, Torn, RenameLost, EntryLost}

// Image is a disk after a crash.
type Image struct {
	Disk    *Disk
	Kind    Kind
	Mark    any        // the last mark before the crash
	At      int        // the step of the journal after which the crash came
	State   State      // tells the image apart from the others of its journal
	Rand    *rand.Rand // for the test of this image
	journal *Journal
}

func (i Image) String() string {
	var trail strings.Builder
	for at := max(0, i.At-7); at <= i.At; at++ {
		fmt.Fprintf(&trail, "\n  %d: %v", at, i.journal.steps[at])
	}
	return fmt.Sprintf("crash after step %d of %d: %s%s", i.At, len(i.journal.steps), i.Kind, trail.String())
}

// OnFailure runs the test of an image. If the test fails, it logs which image it was, and
// writes the files of the image to the directory for artifacts of tests.
func (i Image) OnFailure(t testing.TB, test func()) {
	left := i.Disk.Clone()
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

// Images yields the states that a crash after any change can leave, each once. It leaves
// out a state if an earlier one has the same files and the same mark. Every state depends
// only on the journal, its place in the journal, and the seed. chosen, if not nil, decides
// which states to make.
func (j *Journal) Images(seed uint64, chosen func(rng *rand.Rand) bool) iter.Seq[Image] {
	return func(yield func(Image) bool) {
		m, copies := j.base.cloneInodes()
		now := map[*inode]*inode{} // recorded -> as of the step
		for recorded, base := range j.inodes {
			now[recorded] = copies[base]
		}
		seen := map[State]bool{}
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
				state := State{sums.of(fs), marks, kind == Killed}
				if seen[state] {
					continue
				}
				seen[state] = true
				if !yield(Image{Disk: fs, Kind: kind, Mark: mark, At: last, State: state, journal: j, Rand: rng}) {
					return false
				}
			}
			return true
		}
		for at, s := range j.steps {
			if s.Op == "" {
				mark = s.Mark
				marks++
				continue
			}
			if !states() {
				return
			}
			c := s.Change
			if c.n != nil {
				if now[c.n] == nil {
					now[c.n] = &inode{dir: c.n.dir}
				}
				c.n = now[c.n]
			}
			m.apply(c)
			if last = at; c.Op == "write" {
				written = c.n
			}
		}
		states()
	}
}

// left returns what a crash now can leave, or nil if a crash of this kind is not possible.
// written is the file of the last write; nil: there was no write.
func (m *Disk) left(k Kind, rng *rand.Rand, written *inode) *Disk {
	switch k {
	case Synced:
		return m.after(nothing)
	case Killed:
		return m.Clone()
	case Half:
		c := someOf(rng, 0.5, 0.5)
		c.stale = staleFrom(rng)
		return m.after(c)
	case HalfOrdered:
		c := someOf(rng, 0, 0.5)
		through := rng.IntN(len(m.unsynced) + 1)
		for through > 0 && through < len(m.unsynced) && m.unsynced[through].rename != 0 && m.unsynced[through].rename == m.unsynced[through-1].rename {
			through++
		}
		c.name = func(i int) bool { return i < through }
		return m.after(c)
	case MostOrFew:
		c := someOf(rng, 0.1, 0.1)
		if rng.IntN(2) == 0 {
			c = someOf(rng, 0.9, 0.9)
		}
		c.stale = staleFrom(rng)
		return m.after(c)
	case Torn:
		return m.tornWrite(rng, written)
	case RenameLost:
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
	case EntryLost:
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

// tornWrite returns the state in which the last write has ended at some byte. Of everything
// else, either all is on the disk, or only what was flushed.
func (m *Disk) tornWrite(rng *rand.Rand, n *inode) *Disk {
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

// staleFrom returns a function that fills the unwritten part of a file with junk, or, half
// of the time, nil, which leaves zeros.
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
