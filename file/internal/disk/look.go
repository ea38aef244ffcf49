package disk

import (
	"fmt"
	"iter"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// The methods of this file look at a disk. The first group may be called at any time, but not
// in a hook and not in Alone.

// Everything returns all that the disk holds, by name: "dir" for a directory, "file " and
// the contents for a file.
func (m *Disk) Everything() map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[string]string{}
	for name, n := range m.names {
		if all[name] = "file " + string(n.data); n.dir {
			all[name] = "dir"
		}
	}
	return all
}

// Names returns the names of the files and directories whose base name begins with prefix,
// in any order.
func (m *Disk) Names(prefix string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	for name := range m.names {
		if strings.HasPrefix(filepath.Base(name), prefix) {
			names = append(names, name)
		}
	}
	return names
}

// Handles returns how many files and directories are open.
func (m *Disk) Handles() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.handles
}

// Changes counts the operations that have changed something, failed flushes included.
func (m *Disk) Changes() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changes
}

// The methods of the second group take no lock.

// All yields the names of all files and directories, in any order. It takes no lock.
func (m *Disk) All() iter.Seq[string] { return maps.Keys(m.names) }

// Has reports whether there is a file or directory of this name. It takes no lock.
func (m *Disk) Has(name string) bool { return m.names[name] != nil }

// IsDir reports whether there is a directory of this name. It takes no lock.
func (m *Disk) IsDir(name string) bool { return m.names[name] != nil && m.names[name].dir }

// Contents returns the contents of a file. The caller must not change them. The file must
// exist. It takes no lock.
func (m *Disk) Contents(name string) []byte { return m.at(name).data }

// Used returns how many bytes all files have together. It takes no lock.
func (m *Disk) Used() (n int) {
	for _, inode := range m.names {
		n += len(inode.data)
	}
	return n
}

// at returns the file with a name. The file must exist.
func (m *Disk) at(name string) *inode {
	n := m.names[name]
	if n == nil {
		panic(fmt.Sprintf("no file %s among %v", name, slices.Collect(m.All())))
	}
	return n
}
