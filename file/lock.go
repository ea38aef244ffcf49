package file

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tidemark-go/tidemark/file/internal/vfs"
	"github.com/tidemark-go/tidemark/storage"
)

const (
	lockName    = "LOCK"
	maxLockInfo = 4096 // bytes of a LOCK file that are read to name its holder
	maxLockName = 255  // bytes that the name of a program or host may have in a LOCK file
)

// heldLock is the lock of a directory, while this process holds it.
type heldLock struct {
	fsys   vfs.FS
	name   string // of the LOCK file
	made   bool   // the LOCK file was not there before
	before []byte // the contents of the LOCK file before, if it was there
	unlock func() error
}

// takeLock takes the lock of a directory, and writes the holder into its LOCK file. The
// lock itself belongs to the operating system and ends with the process. The contents of
// the file are for people, and stay when the lock is gone.
func takeLock(fsys vfs.FS, dir, location string, info storage.LockInfo) (*heldLock, error) {
	l := &heldLock{fsys: fsys, name: filepath.Join(dir, lockName)}
	_, err := fsys.Stat(l.name)
	if l.made = isNotExist(err); l.made {
		err = nil
	}
	if err == nil {
		l.unlock, err = fsys.Lock(l.name)
	}
	if errors.Is(err, vfs.ErrHeld) {
		return nil, &storage.LockedError{Location: location, Holder: lockHolder(fsys, l.name)}
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", l.name, err)
	}
	if !l.made {
		if l.before, err = readFile(fsys, l.name); err != nil {
			return nil, errors.Join(fmt.Errorf("read holder from %s: %w", l.name, err), l.unlock())
		}
	}
	if err := writeLock(fsys, l.name, []byte(info.Owner+"\n"+info.Details)); err != nil {
		return nil, errors.Join(fmt.Errorf("write holder into %s: %w", l.name, err), l.restore(), l.unlock())
	}
	return l, nil
}

// restore makes the LOCK file what it was before the lock was taken.
func (l *heldLock) restore() error {
	var err error
	if l.made {
		err = ignoreNotExist(l.fsys.Remove(l.name))
	} else {
		err = writeLock(l.fsys, l.name, l.before)
	}
	if err != nil {
		return fmt.Errorf("restore %s: %w", l.name, err)
	}
	return nil
}

// readFile reads a whole file.
func readFile(fsys vfs.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	data := make([]byte, size)
	if err == nil && size > 0 {
		_, err = f.ReadAt(data, 0)
	}
	return data, errors.Join(err, f.Close())
}

// writeLock replaces the contents of the LOCK file, whose lock this process holds. It
// overwrites them in place, which needs no room: a full disk must not keep a location from
// being opened.
func writeLock(fsys vfs.FS, name string, contents []byte) error {
	f, err := fsys.OpenWrite(name)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(contents, 0); err == nil {
		err = f.Truncate(int64(len(contents)))
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// lockHolder reads the holder of a lock from its LOCK file. If the file is unreadable or
// empty, the holder is unknown. The lock is held all the same.
func lockHolder(fsys vfs.FS, name string) storage.LockInfo {
	f, err := fsys.Open(name)
	if err != nil {
		return storage.LockInfo{}
	}
	defer f.Close() //nolint:errcheck // only read
	buf := make([]byte, maxLockInfo)
	n, _ := f.ReadAt(buf, 0) // the usual error here is the end of the file
	owner, details, _ := strings.Cut(string(buf[:n]), "\n")
	return storage.LockInfo{Owner: owner, Details: details}
}

// ownName is the name of the executable on one line, or "unknown program".
func ownName() string {
	var name string
	if len(os.Args) > 0 {
		name = os.Args[0]
	} else if executable, err := os.Executable(); err == nil {
		name = executable
	}
	if name == "" {
		return "unknown program"
	}
	return oneLine(filepath.Base(name))
}

// lockDetails says for people which process this is. It has the time of the wall clock.
// Nothing else depends on that clock.
func lockDetails() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "unknown host"
	}
	return fmt.Sprintf("(pid %d on %s since %s)", os.Getpid(), oneLine(host), time.Now().UTC().Format(time.RFC3339))
}

// oneLine makes a name that was chosen elsewhere fit for a line of a LOCK file. A program
// with a strange name must still be able to open its location.
func oneLine(name string) string {
	return strings.Map(func(r rune) rune {
		//museum:strange-name
		if unicode.IsControl(r) || r == utf8.RuneError {
			return '?'
		}
		return r
	}, firstBytes(name))
}
