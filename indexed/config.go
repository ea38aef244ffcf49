package indexed

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tidemark-go/tidemark/indexed/internal/part"
)

// Config has the fields of persist.Config, in the same order, so that package persist can
// convert one to the other. persist.Config documents them. 0 means the default.
type Config struct {
	MinStepInterval     time.Duration // least time from one round to the next
	CacheSizeLimit      int64         // bytes of decoded parts kept for readers; < 0: no limit
	Registerer          prometheus.Registerer
	Logger              *slog.Logger
	MaxTailBytes        int64 // bytes of updates that are in no batch; above it writers wait
	MaxQueuedCommands   int
	MaxGroupBytes       int           // size at which a group of commands is closed
	FlushBytes          int64         // size at which a tail is due
	FlushInterval       time.Duration // age at which a tail is due; < 0: never
	MaxLogBytes         int64         // size of the log at which the oldest tails are due
	PartBytes           int           // size at which a batch begins another part
	ListenerWindowBytes int64
	MaxListenerLag      int64 // bytes of log that a listener may hold back; < 0: no limit
	FollowInterval      time.Duration
}

// Validate returns the error that an opening would return for this configuration, or nil.
// The error matches ErrInvalid and names the field and its range.
func (c Config) Validate() error {
	_, err := c.withDefaults()
	return err
}

// withDefaults returns a copy with all defaults filled in, or an error that names the field
// and its range.
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

// The largest values of the fields. They are more than anybody needs, and small enough that
// sums, multiples and shifted copies do not wrap, and that make does not panic.
const (
	maxBytes       = 1 << 50
	maxInterval    = 365 * 24 * time.Hour // retry multiplies it by up to 64
	maxQueued      = 1 << 20
	maxGroupCommit = 1 << 30
)

// number is a field of Config and its range: from 1 to most. Values below 0 are allowed if
// they have a meaning.
type number struct {
	name     string
	value    int64
	set      func(int64)
	standard int64 // in place of 0
	most     int64
	negative string // what a value below 0 means; "": not allowed
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

// check fills in the default, or refuses a value out of range.
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

// parts returns the configuration of package part.
func (c *Config) parts() part.Config {
	return part.Config{PartBytes: c.PartBytes, CacheBytes: c.CacheSizeLimit, LeastGroup: leastGroupBytes}
}

// leastGroupBytes is 0, except in tests, which use small parts: see part.Config.LeastGroup.
var leastGroupBytes int

// movedInRound returns how many bytes of unsealed batches, in memory, the moves of one
// round may read.
func (c *Config) movedInRound() int64 { return max(2*c.FlushBytes, 16<<20) }
