package disk

import (
	"slices"
	"strings"
)

// The methods of this file change a disk from outside, as damage, another program or a test
// may do. No hook hears of it. All but Leave take no lock, no journal records what they do,
// and what they change of names is durable at once.

// lay gives a name to a file, or takes it away if n is nil, now and after a power cut.
func (m *Disk) lay(name string, n *inode) {
	p := naming{name: name, n: n}
	give(m.names, p)
	give(m.durable, p)
	m.unsynced = slices.DeleteFunc(slices.Clone(m.unsynced), func(p naming) bool { return p.name == name })
}

// Put makes a file of these contents, durably, in the place of what has the name. Handles
// that are open stay with the old file. It takes no lock.
func (m *Disk) Put(name string, contents []byte) {
	m.lay(name, &inode{data: slices.Clone(contents), durable: slices.Clone(contents)})
}

// PutDir makes an empty directory, durably. It takes no lock.
func (m *Disk) PutDir(name string) { m.lay(name, &inode{dir: true}) }

// Link gives a file another name, durably: a hard link. It takes no lock.
func (m *Disk) Link(name, other string) { m.lay(other, m.at(name)) }

// Lose takes away a file, or a directory and all that is below it, durably. It takes no lock.
func (m *Disk) Lose(name string) {
	for _, at := range m.below(name) {
		m.lay(at, nil)
	}
}

// Move gives a file, or a directory and all that is below it, another name, durably. It
// takes no lock.
func (m *Disk) Move(from, to string) {
	for _, at := range m.below(from) {
		n := m.at(at)
		m.lay(at, nil)
		m.lay(to+strings.TrimPrefix(at, from), n)
	}
}

// below returns the names of a file or directory and of what is below it.
func (m *Disk) below(name string) (names []string) {
	for at := range m.names {
		if at == name || strings.HasPrefix(at, name+"/") {
			names = append(names, at)
		}
	}
	return names
}

// Edit returns the contents of a file, to be changed in place. A power cut before the next
// flush of the file may take the change back. It takes no lock.
func (m *Disk) Edit(name string) []byte {
	n := m.at(name)
	n.own()
	return n.data
}

// Resize cuts a file to a size in bytes, or appends zeros, as programs see it. Handles that
// are open see it too. It takes no lock.
func (m *Disk) Resize(name string, size int) {
	n := m.at(name)
	n.own()
	n.data = resized(n.data, int64(size))
}

// Leave makes an empty file, as if an earlier process had left it: a change that a journal
// records, and that is not durable.
func (m *Disk) Leave(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.do(Change{Op: "create", Name: name, n: &inode{}})
}
