package disk

import "fmt"

// Journal is what has happened to a disk since Record.
type Journal struct {
	base   *Disk
	inodes map[*inode]*inode // those that it had, and what they are in base
	steps  []Step
}

// Step is a change, or, if it has no Op, a mark between two.
type Step struct {
	Change
	Mark any // what Disk.Mark was given
}

func (s Step) String() string {
	switch s.Op {
	case "":
		return fmt.Sprintf("mark %+v", s.Mark)
	case "rename":
		return fmt.Sprintf("rename %s to %s", s.Name, s.To)
	case "write":
		return fmt.Sprintf("write %d bytes at %d of %s", len(s.Data), s.Off, s.Name)
	default:
		return s.Op + " " + s.Name
	}
}

// Steps returns what has happened so far, oldest first. The slice is the journal's own.
func (j *Journal) Steps() []Step { return j.steps }

// Record begins a journal of the changes of the disk.
func (m *Disk) Record() *Journal {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.journal = &Journal{}
	m.journal.base, m.journal.inodes = m.cloneInodes()
	return m.journal
}

// Mark says in the journal what the workload knows from here on. Without a journal it does
// nothing.
func (m *Disk) Mark(known any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.journal != nil {
		m.journal.steps = append(m.journal.steps, Step{Mark: known})
	}
}

// End ends the journal.
func (m *Disk) End() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.journal = nil
}
