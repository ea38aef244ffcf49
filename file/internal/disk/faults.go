package disk

import (
	"fmt"
	"slices"
	"syscall"
)

// FaultKind is a way in which an operation fails.
type FaultKind string

// The kinds of faults.
const (
	EIO           FaultKind = "EIO"           // an operation that no kind below is for
	Full          FaultKind = "ENOSPC"        // no room is left
	ShortWrite    FaultKind = "short write"   // half is written
	FailedSync    FaultKind = "failed fsync"  // what was not durable is clean, and is never written
	FailedClose   FaultKind = "failed close"  // the handle is closed all the same
	FailedRename  FaultKind = "failed rename" // nothing is renamed
	FailedRead    FaultKind = "read error"    // nothing is read
	Dead          FaultKind = "dead disk"     // every operation fails
	NoDescriptors FaultKind = "EMFILE"        // no descriptor is left
)

// FaultKinds returns all kinds.
func FaultKinds() []FaultKind { return slices.Clone(faultKinds) }

var faultKinds = []FaultKind{EIO, Full, ShortWrite, FailedSync, FailedClose, FailedRename, FailedRead, Dead, NoDescriptors}

// FaultsOf returns the ways in which an operation can fail.
func FaultsOf(op string) []FaultKind {
	switch op {
	case "write":
		return []FaultKind{EIO, Full, ShortWrite}
	case "sync", "datasync", "syncDir":
		return []FaultKind{FailedSync, Full}
	case "close":
		return []FaultKind{FailedClose}
	case "rename":
		return []FaultKind{FailedRename, Full}
	case "read":
		return []FaultKind{FailedRead}
	case "mkdir":
		return []FaultKind{EIO, Full}
	case "create", "lock":
		return []FaultKind{EIO, Full, NoDescriptors}
	case "open", "openWrite", "openDir", "list":
		return []FaultKind{EIO, NoDescriptors}
	default:
		return []FaultKind{EIO}
	}
}

func (k FaultKind) applies(op string) bool {
	return k == Dead || slices.Contains(FaultsOf(op), k)
}

func (k FaultKind) errno() error {
	switch k {
	case Full:
		return syscall.ENOSPC
	case NoDescriptors:
		return syscall.EMFILE
	default:
		return syscall.EIO
	}
}

// Site is a place in the code that calls the file system.
type Site struct {
	File string // the base name of the file
	Line int
	Op   string // the operation that is called
}

func (s Site) String() string { return fmt.Sprintf("%s:%d %s", s.File, s.Line, s.Op) }

// Fault is a plan: the Nth call from a site fails. If Sticky, all later operations fail as
// well to which this kind of fault applies: see FaultsOf.
type Fault struct {
	Site   Site
	Nth    int // 1 is the first call
	Kind   FaultKind
	Sticky bool
}

func (f Fault) String() string {
	often := "once"
	if f.Sticky {
		often = "from then on"
	}
	return fmt.Sprintf("%s at %s, call %d, %s", f.Kind, f.Site, f.Nth, often)
}
