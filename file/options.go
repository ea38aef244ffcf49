package file

import (
	"cmp"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/tidemark-go/tidemark/file/internal/vfs"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// Limits of [SegmentSize], in bytes.
const (
	MinSegmentSize = 16 << 10
	MaxSegmentSize = 1 << 30
)

const (
	defaultFirstSegment = 1 << 20
	defaultLastSegment  = 32 << 20
)

// Option changes how a log or blob store is opened. No options are right for most programs.
// As everywhere, 0 in place of a number means the default.
type Option func(*config)

// LockInfo sets the holder that the LOCK file names. People read it when they find the
// location locked. Owner is one line of text; its default is the name of the executable.
// The default of Details is process id, host and time. Both together have at most 4,095
// bytes.
//
// The owner gives no right to take over a location: a dead process holds no lock, and a
// living one keeps it.
func LockInfo(info storage.LockInfo) Option {
	return func(c *config) {
		if info.Owner != "" {
			c.lock.Owner = info.Owner
		}
		if info.Details != "" {
			c.lock.Details = info.Details
		}
	}
}

// Logger receives the few things that a person may want to know and that are no errors,
// such as a torn tail that was cut. The default of Open and OpenRead is the Logger of their
// persist.Config. The default of the parts discards all messages.
func Logger(l *slog.Logger) Option {
	return func(c *config) {
		if l != nil {
			c.logger = l
		}
	}
}

// SegmentSize sets two sizes in bytes: that of a log's first segment file, and the limit up
// to which each next one doubles. A group of entries that is larger gets a segment that
// fits. 0 means the default: 1 MiB for first, and for limit 32 MiB, or first if that is
// more. With the defaults a small location stays small, and a busy one changes files a few
// times a second at most.
//
// Errors, returned by the call that the option is given to: persist.ErrInvalid unless
// MinSegmentSize <= first <= limit <= MaxSegmentSize.
func SegmentSize(first, limit int64) Option {
	return func(c *config) {
		c.firstSegment = cmp.Or(first, defaultFirstSegment)
		c.lastSegment = cmp.Or(limit, max(c.firstSegment, defaultLastSegment))
	}
}

// withFileSystem replaces the operating system's files, in tests.
func withFileSystem(fsys vfs.FS) Option {
	return func(c *config) { c.fsys = fsys }
}

// withPatience replaces latePatience, in tests.
func withPatience(d time.Duration) Option {
	return func(c *config) { c.patience = d }
}

type config struct {
	fsys                      vfs.FS
	lock                      storage.LockInfo
	logger                    *slog.Logger
	noFlush                   *sync.Once // logs that directories cannot be flushed
	firstSegment, lastSegment int64
	patience                  time.Duration // see openWhole
}

// locate returns the options and the absolute path of a location.
func locate(dir string, opts []Option) (config, string, error) {
	c, err := newConfig(opts)
	if err != nil {
		return c, dir, err
	}
	absolute, err := c.fsys.Absolute(dir)
	if err != nil {
		return c, dir, fmt.Errorf("find directory %q: %w", dir, err)
	}
	//museum:relative-for-good
	return c, absolute, nil
}

// checkLockInfo refuses a holder that could not be read back from a LOCK file.
func checkLockInfo(info storage.LockInfo) error {
	if strings.ContainsAny(info.Owner, "\r\n") {
		return fmt.Errorf("lock owner %q contains a line break: give one without", firstBytes(info.Owner))
	}
	if n := len(info.Owner) + 1 + len(info.Details); n > maxLockInfo {
		return fmt.Errorf("lock owner %q and its details have %d bytes: give at most %d", firstBytes(info.Owner), n, maxLockInfo)
	}
	return nil
}

func firstBytes(s string) string { return s[:min(len(s), maxLockName)] }

func newConfig(opts []Option) (config, error) {
	c := config{
		fsys:         osFileSystem{locked: new(lockedDir)},
		lock:         storage.LockInfo{Owner: ownName(), Details: lockDetails()},
		logger:       slog.New(slog.DiscardHandler),
		noFlush:      new(sync.Once),
		firstSegment: defaultFirstSegment,
		lastSegment:  defaultLastSegment,
		patience:     latePatience,
	}
	for _, o := range opts {
		o(&c)
	}
	if err := checkLockInfo(c.lock); err != nil {
		return c, err
	}
	if c.firstSegment < MinSegmentSize || c.lastSegment < c.firstSegment || c.lastSegment > MaxSegmentSize {
		return c, fmt.Errorf("%w: segment sizes %d to %d: want %d <= first <= limit <= %d, or 0 for the default",
			persist.ErrInvalid, c.firstSegment, c.lastSegment, MinSegmentSize, MaxSegmentSize)
	}
	return c, nil
}
