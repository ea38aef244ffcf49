package indexed

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tidemark-go/tidemark/indexed/internal/part"
)

// Config holds the limits and schedules of a runtime. The zero value means the
// defaults. A number out of its range is refused with ErrInvalid when the runtime is
// opened. Package persist re-exports it.
type Config struct {
	// MinStepInterval is the least time between two rounds of maintenance. It delays
	// neither answers nor events. 0 means 1s; at most 365 days.
	MinStepInterval time.Duration

	// CacheSizeLimit bounds the decoded batch parts kept in memory, in bytes.
	// 0 means 64 MiB, < 0 no limit; at most 1 PiB.
	CacheSizeLimit int64

	// Registerer receives the metrics; they are unregistered when the runtime stops.
	// nil: metrics are kept but not registered. Two runtimes that share one need
	// distinguishing labels: see prometheus.WrapRegistererWith.
	Registerer prometheus.Registerer

	// Logger receives structured logs; nil: discard.
	Logger *slog.Logger

	// MaxTailBytes bounds the updates that are queued, on their way to the log, or in
	// the log and not yet in a batch, in bytes of their encoding. Writers wait for
	// room under their context, and a larger command is refused. 0 means 64 MiB; at most
	// 1 PiB.
	MaxTailBytes int64

	// MaxQueuedCommands bounds the commands that wait for the log. 0 means 4096; at most
	// 1,048,576.
	MaxQueuedCommands int

	// MaxGroupBytes is the size at which a group of commands that share one flush is
	// closed. The command that reaches it is part of the group, whatever its size, unless
	// the group would be more than the log takes at a time: then it begins the next one.
	// 0 means 4 MiB; at most 1 GiB.
	MaxGroupBytes int

	// FlushBytes is the size of a stream's tail that is worth a batch. 0 means 8 MiB; at
	// most 1 PiB, of which never more than half of MaxTailBytes is used.
	FlushBytes int64

	// FlushInterval is the age at which a tail of any size is moved to a batch. 0
	// means 1 minute, < 0 never: object count then follows bytes alone, but readers
	// of blobs alone may never see the last few updates. At most 365 days.
	FlushInterval time.Duration

	// MaxLogBytes is the size of the log, as it is stored, at which the oldest tails are
	// flushed so that it can be truncated; it bounds the time to open. 0 means 64 MiB; at
	// most 1 PiB.
	MaxLogBytes int64

	// PartBytes is the size of encoded updates at which a batch is split into another
	// part. A flush and a merge hold two parts of their output in memory, compressed.
	// 0 means 4 MiB; at most 1 GiB, or 32 MiB in a 32-bit program.
	PartBytes int

	// ListenerWindowBytes bounds the events kept in memory for listeners, over all
	// streams. A listener that falls further behind reads from the log. 0 means 16 MiB; at
	// most 1 PiB.
	ListenerWindowBytes int64

	// MaxListenerLag bounds the bytes of log that a slow listener may hold back from
	// truncation, or in a read-only runtime keep of what the owner has truncated; one that falls further behind gets ErrLagged. 0 means 16 GiB, < 0
	// no limit; at most 1 PiB.
	MaxListenerLag int64

	// FollowInterval is the time between two looks of a read-only runtime at the
	// location. 0 means 100ms; at most 365 days.
	FollowInterval time.Duration
}

// Validate returns the error with which a runtime would refuse the configuration, or
// nil. It matches ErrInvalid and names the field and its range.
func (c Config) Validate() error {
	_, err := c.withDefaults()
	return err
}

// withDefaults returns a copy with every default filled in, or an error that names
// the field and its range.
func (c Config) withDefaults() (Config, error) {
	for _, f := range c.numbers() {
		if err := f.check(); err != nil {
			return c, err
		}
	}
	c.FlushBytes = min(c.FlushBytes, max(1, c.MaxTailBytes/2))
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// What numbers may be at most: enough for everybody, and little enough that sums,
// multiples and shifted copies of them do not wrap, nor a make of so many panics.
const (
	maxBytes       = 1 << 50
	maxInterval    = 365 * 24 * time.Hour // retry takes 64 times as much
	maxQueued      = 1 << 20
	maxGroupCommit = 1 << 30
)

// number is a field of a Config and its range: from 1, or from below 0 if that has a
// meaning, to most.
type number struct {
	name     string
	value    int64
	set      func(int64)
	standard int64 // in place of 0
	most     int64
	negative string // what less than 0 means; "": it is not allowed
}

func numberOf[T int | int64 | time.Duration](name string, field *T, standard, most int64, negative string) number {
	return number{name, int64(*field), func(v int64) { *field = T(v) }, standard, most, negative}
}

// numbers returns every number in the config.
func (c *Config) numbers() []number {
	return []number{
		numberOf("MinStepInterval", &c.MinStepInterval, int64(time.Second), int64(maxInterval), ""),
		numberOf("CacheSizeLimit", &c.CacheSizeLimit, 64<<20, maxBytes, "no limit"),
		numberOf("MaxTailBytes", &c.MaxTailBytes, 64<<20, maxBytes, ""),
		numberOf("MaxQueuedCommands", &c.MaxQueuedCommands, 4096, maxQueued, ""),
		numberOf("MaxGroupBytes", &c.MaxGroupBytes, 4<<20, maxGroupCommit, ""),
		numberOf("FlushBytes", &c.FlushBytes, 8<<20, maxBytes, ""),
		numberOf("FlushInterval", &c.FlushInterval, int64(time.Minute), int64(maxInterval), "never"),
		numberOf("MaxLogBytes", &c.MaxLogBytes, 64<<20, maxBytes, ""),
		numberOf("PartBytes", &c.PartBytes, 4<<20, part.MaxBytes, ""),
		numberOf("ListenerWindowBytes", &c.ListenerWindowBytes, 16<<20, maxBytes, ""),
		numberOf("MaxListenerLag", &c.MaxListenerLag, 16<<30, maxBytes, "no limit"),
		numberOf("FollowInterval", &c.FollowInterval, int64(100*time.Millisecond), int64(maxInterval), ""),
	}
}

// check fills in the default, or refuses what is out of range.
func (n number) check() error {
	switch {
	case n.value == 0:
		n.set(n.standard)
	//museum:range-without-end
	case n.value > n.most, n.value < 0 && n.negative == "":
		negative := ""
		if n.negative != "" {
			negative = ", or less than 0 for " + n.negative
		}
		return fmt.Errorf("tidemark: %w: Config.%s is %d: it must be from 1 to %d, or 0 for its default, %d%s",
			ErrInvalid, n.name, n.value, n.most, n.standard, negative)
	}
	return nil
}

// parts returns what package part is to know.
func (c *Config) parts() part.Config {
	return part.Config{PartBytes: c.PartBytes, CacheBytes: c.CacheSizeLimit, LeastGroup: leastGroupBytes}
}

// leastGroupBytes is 0, but in tests, whose parts are small: see partConfig.
var leastGroupBytes int

// movedInRound is how many bytes of unsealed batches, in memory, the moves of one round
// read.
func (c *Config) movedInRound() int64 { return max(2*c.FlushBytes, 16<<20) }
