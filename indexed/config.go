package indexed

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config holds the limits and schedules of a runtime. The zero value means the
// defaults. Package persist re-exports it.
type Config struct {
	// MinStepInterval is the least time between two rounds of maintenance. It delays
	// neither answers nor events. 0 means 1s.
	MinStepInterval time.Duration

	// CacheSizeLimit bounds the decoded batch parts kept in memory, in bytes.
	// 0 means 64 MiB, < 0 no limit.
	CacheSizeLimit int64

	// Registerer receives the metrics; they are unregistered when the runtime stops.
	// nil: metrics are kept but not registered. Two runtimes that share one need
	// distinguishing labels: see prometheus.WrapRegistererWith.
	Registerer prometheus.Registerer

	// Logger receives structured logs; nil: discard.
	Logger *slog.Logger

	// MaxTailBytes bounds the updates that are queued, on their way to the log, or in
	// the log and not yet in a batch, in bytes of their encoding. Writers wait for
	// room under their context. 0 means 64 MiB.
	MaxTailBytes int64

	// MaxQueuedCommands bounds the commands that wait for the log. 0 means 4096.
	MaxQueuedCommands int

	// MaxGroupBytes is the size at which a group of commands that share one flush is
	// closed. A larger command is a group of its own. 0 means 4 MiB.
	MaxGroupBytes int

	// FlushBytes is the size of a stream's tail that is worth a batch. 0 means 8 MiB;
	// never more than half of MaxTailBytes.
	FlushBytes int64

	// FlushInterval is the age at which a tail of any size is moved to a batch. 0
	// means 1 minute, < 0 never: object count then follows bytes alone, but readers
	// of blobs alone may never see the last few updates.
	FlushInterval time.Duration

	// MaxLogBytes is the size of the log at which the oldest tails are flushed so that
	// it can be truncated; it bounds the time to open. 0 means 64 MiB.
	MaxLogBytes int64

	// PartBytes is the size of encoded updates at which a batch is split into another
	// part. A flush and a merge hold two parts of their output in memory, compressed.
	// 0 means 4 MiB; at most 1 GiB.
	PartBytes int

	// ListenerWindowBytes bounds the events kept in memory for listeners, over all
	// streams. A listener that falls further behind reads from the log. 0 means 16 MiB.
	ListenerWindowBytes int64

	// MaxListenerLag bounds the bytes of log that a slow listener may hold back from
	// truncation; one that falls further behind gets ErrLagged. 0 means 16 GiB, < 0
	// no limit.
	MaxListenerLag int64

	// FollowInterval is the time between two looks of a read-only runtime at the
	// location. 0 means 100ms.
	FollowInterval time.Duration
}

// withDefaults returns a copy with every default filled in, or an error that names
// the field and its range.
func (c Config) withDefaults() (Config, error) {
	setDefault(&c.MinStepInterval, time.Second)
	setDefault(&c.CacheSizeLimit, 64<<20)
	setDefault(&c.MaxTailBytes, 64<<20)
	setDefault(&c.MaxQueuedCommands, 4096)
	setDefault(&c.MaxGroupBytes, 4<<20)
	setDefault(&c.FlushBytes, min(8<<20, c.MaxTailBytes/2))
	setDefault(&c.FlushInterval, time.Minute)
	setDefault(&c.MaxLogBytes, 64<<20)
	setDefault(&c.PartBytes, 4<<20)
	setDefault(&c.ListenerWindowBytes, 16<<20)
	setDefault(&c.MaxListenerLag, 16<<30)
	setDefault(&c.FollowInterval, 100*time.Millisecond)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.FlushBytes = min(c.FlushBytes, c.MaxTailBytes/2)
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"MinStepInterval", int64(c.MinStepInterval)},
		{"MaxTailBytes", c.MaxTailBytes},
		{"MaxQueuedCommands", int64(c.MaxQueuedCommands)},
		{"MaxGroupBytes", int64(c.MaxGroupBytes)},
		{"FlushBytes", c.FlushBytes},
		{"MaxLogBytes", c.MaxLogBytes},
		{"PartBytes", int64(c.PartBytes)},
		{"ListenerWindowBytes", c.ListenerWindowBytes},
		{"FollowInterval", int64(c.FollowInterval)},
	} {
		if f.value <= 0 {
			return c, fmt.Errorf("tidemark: %w: Config.%s is %d: it must be positive, or 0 for its default", ErrInvalid, f.name, f.value)
		}
	}
	if c.PartBytes > maxPartBytes {
		return c, fmt.Errorf("tidemark: %w: Config.PartBytes is %d: it must be at most %d", ErrInvalid, c.PartBytes, maxPartBytes)
	}
	return c, nil
}

// maxPartBytes leaves room below the limit of a column for the row that completes a
// part.
const maxPartBytes = 1 << 30

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
