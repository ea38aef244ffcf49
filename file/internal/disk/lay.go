package disk

import (
	"slices"
	"strings"
)

// The methods of this file change a disk from outside, as damage, another program or a test may
// do. They call no hook. All of them but Leave have three properties: they take no lock, no
// journal records them, and their changes of names are durable at once.

// lay gives a name to a file, or takes the name away if n is nil. It does so for programs
// and for the state after a power cut.
func (m *Disk) lay(name string, n *inode) {
	p := naming{name: name, n: n}
	give(m.names, p)
	give(m.durable, p)
	m.unsynced = slices.DeleteFunc(slices.Clone(m.unsynced), func(p naming) bool { return p.name == name })
}

// Put makes a file with these contents, durably. It replaces the file that has the name.
// Handles that are open stay with the old file. It takes no lock.
func (m *Disk) Put(name string, contents []byte) {
	m.lay(name, &inode{data: slices.Clone(contents), durable: slices.Clone(contents)})
}

// PutDir makes an empty directory, durably. It takes no lock.
func (m *Disk) PutDir(name string) { m.lay(name, &inode{dir: true}) }

// Link gives a file another name, durably: a hard link. It takes no lock.
func (m *Disk) Link(name, other string) { m.lay(other, m.at(name)) }

// Lose removes a file, or a directory and all that is below it, durably. It takes no lock.
func (m *Disk) Lose(name string) {
	for _, at := range m.below(name) {
		m.lay(at, nil)
	}
}

// Move gives a file another name, durably, or a directory and all that is below it. It
// takes no lock.
func (m *Disk) Move(from, to string) {
	for _, at := range m.below(from) {
		n := m.at(at)
		m.lay(at, nil)
		m.lay(to+strings.TrimPrefix(at, from), n)
	}
}

// below returns the names of a file or directory and of everything below it.
func (m *Disk) below(name string) (names []string) {
	for at := range m.names {
		if at == name || strings.HasPrefix(at, name+"/") {
			names = append(names, at)
		}
	}
	return names
}

// Edit returns the contents of a file. The caller may change them in place. A power cut
// before the next flush of the file may take the change back. It takes no lock.
func (m *Disk) Edit(name string) []byte {
	n := m.at(name)
	n.own()
	return n.data
}

// Resize cuts a file to a size in bytes, or appends zeros. Programs see the new size, also
// through handles that are open. It takes no lock.
func (m *Disk) Resize(name string, size int) {
	n := m.at(name)
	n.own()
	n.data = resized(n.data, int64(size))
}

// Leave makes an empty file, as if an earlier process had left it. A journal records this
// change, and it is not durable.
func (m *Disk) Leave(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.do(Change{Op: "create", Name: name, n: &inode{}})
}
