package file

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tidemark-go/tidemark/storage"
)

const (
	lockName    = "LOCK"
	maxLockInfo = 4096 // bytes of a LOCK file that are read to name its holder
)

// takeLock takes the lock of a directory and writes into it who has it. The
// lock itself is the operating system's and dies with the process; the contents
// are for people, and stay behind.
func takeLock(fsys fileSystem, dir, location string, info storage.LockInfo) (release func() error, err error) {
	if strings.Contains(info.Owner, "\n") {
		return nil, fmt.Errorf("lock owner %q contains a line break: give one without", info.Owner)
	}
	name := filepath.Join(dir, lockName)
	unlock, err := fsys.lock(name)
	if errors.Is(err, errHeld) {
		return nil, &storage.LockedError{Location: location, Holder: lockHolder(fsys, name)}
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	if err := writeLock(fsys, name, info.Owner+"\n"+info.Details); err != nil {
		return nil, errors.Join(fmt.Errorf("write holder into %s: %w", name, err), unlock())
	}
	return unlock, nil
}

// writeLock replaces the contents of the LOCK file, whose lock is ours. It
// overwrites them in place, which needs no room: a full disk must not keep a
// location from being opened.
func writeLock(fsys fileSystem, name, contents string) error {
	f, err := fsys.openWrite(name)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt([]byte(contents), 0); err == nil {
		err = f.truncate(int64(len(contents)))
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// lockHolder reads who holds the lock. An unreadable or empty file gives an
// unknown holder: that the lock is held is certain all the same.
func lockHolder(fsys fileSystem, name string) storage.LockInfo {
	f, err := fsys.open(name)
	if err != nil {
		return storage.LockInfo{}
	}
	defer f.Close() //nolint:errcheck // only read
	buf := make([]byte, maxLockInfo)
	n, _ := f.ReadAt(buf, 0) // the end of the file is the usual "error" here
	owner, details, _ := strings.Cut(string(buf[:n]), "\n")
	return storage.LockInfo{Owner: owner, Details: details}
}

// lockDetails says for people which process this is.
func lockDetails() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return fmt.Sprintf("(pid %d on %s since %s)", os.Getpid(), host, time.Now().UTC().Format(time.RFC3339))
}
