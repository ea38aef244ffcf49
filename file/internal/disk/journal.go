package disk

import "fmt"

// Journal has the changes of a disk since Record.
type Journal struct {
	base   *Disk
	inodes map[*inode]*inode // from the inodes of the disk to their copies in base
	steps  []Step
}

// Step is a change. If it has no Op, it is a mark between two changes.
type Step struct {
	Change
	Mark any // the argument of Disk.Mark
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

// Steps returns the steps so far, oldest first. The slice belongs to the journal.
func (j *Journal) Steps() []Step { return j.steps }

// Record begins a journal of the changes of the disk.
func (m *Disk) Record() *Journal {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.journal = &Journal{}
	m.journal.base, m.journal.inodes = m.cloneInodes()
	return m.journal
}

// Mark records in the journal what the client of the tested code knows from here on.
// Without a journal it does nothing.
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
