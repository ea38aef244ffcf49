package persist

import (
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tidemark-go/tidemark/indexed"
)

// Config holds the limits and schedules of a runtime. The zero value means the defaults,
// which suit most programs.
//
// In each number, 0 means the default. If a number is out of its range, opening the runtime
// fails with ErrInvalid: see Validate.
type Config struct {
	// MinStepInterval is the least time between two rounds of background maintenance. A
	// round moves updates from the log to batches, and truncates the log. It delays neither
	// answers nor events. Default 1s; at most 365 days.
	MinStepInterval time.Duration

	// CacheSizeLimit bounds the decoded parts of batches that stay in memory for readers,
	// in bytes. Default 64 MiB; less than 0 means no limit; at most 1 PiB.
	CacheSizeLimit int64

	// Registerer receives the metrics. They are unregistered when the runtime stops. nil:
	// the metrics are kept but not registered; see Client.Collector. Two runtimes that
	// share a registerer need labels that tell them apart: see
	// prometheus.WrapRegistererWith.
	Registerer prometheus.Registerer

	// Logger receives structured logs. nil discards them.
	Logger *slog.Logger

	// MaxTailBytes bounds the updates that are in no batch yet: queued, on their way to the
	// log, or in the log alone. It counts bytes of their encoding. Writers wait for room,
	// under their contexts. A command that is larger than the bound by itself is refused
	// with ErrTooLarge. Default 64 MiB; at most 1 PiB.
	MaxTailBytes int64

	// MaxQueuedCommands bounds the commands that wait for the log. Writers wait for room,
	// under their contexts. Default 4096; at most 1,048,576.
	MaxQueuedCommands int

	// MaxGroupBytes is the size at which a group of commands is closed. A group shares one
	// flush of the log. The command that reaches the size is the last of its group, however
	// large the command is. There is one exception: if the group would be more than the log
	// takes at a time, that command begins the next group. Default 4 MiB; at most 1 GiB.
	MaxGroupBytes int

	// FlushBytes is the size at which updates of one stream are moved from the log to a
	// batch. It counts the updates that are in the log alone. Default 8 MiB; at most 1 PiB.
	// The runtime uses no more than half of MaxTailBytes.
	FlushBytes int64

	// FlushInterval is the age at which these updates are moved, whatever their size.
	// Default 1 minute; at most 365 days. Less than 0 means never. Then the number of files
	// follows the bytes that were written, but a reader of blobs alone (StartRead) may
	// never see the newest updates.
	FlushInterval time.Duration

	// MaxLogBytes is the size of the log at which the oldest updates in it are moved to
	// batches, so that the log can be truncated. It counts bytes as they are stored. It
	// bounds the time to open a location. Default 64 MiB; at most 1 PiB.
	MaxLogBytes int64

	// PartBytes is the size of encoded updates at which a batch begins another part, which
	// is a Parquet file. A flush and a merge hold two parts of their output in memory,
	// compressed. Default 4 MiB; at most 1 GiB, or 32 MiB in a 32-bit program.
	PartBytes int

	// ListenerWindowBytes bounds the events that stay in memory for listeners, over all
	// streams. A listener that falls further behind reads from the log. Default 16 MiB; at
	// most 1 PiB.
	ListenerWindowBytes int64

	// MaxListenerLag bounds the part of the log that is kept for a slow listener, in bytes.
	// The runtime of the owner does not truncate that part. A read-only runtime keeps it
	// open after the owner has truncated it. A listener that falls further behind ends with
	// ErrLagged. Default 16 GiB; less than 0 means no limit; at most 1 PiB.
	MaxListenerLag int64

	// FollowInterval is the time between two looks of a read-only runtime at the location.
	// A read looks by itself, whatever the interval is. Default 100ms; at most 365 days.
	FollowInterval time.Duration
}

// Validate returns the error with which a runtime would refuse the configuration, or nil.
// The error matches ErrInvalid, and names the field and its range.
func (c Config) Validate() error { return indexed.Config(c).Validate() }
