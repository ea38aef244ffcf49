package concurrent

import (
	"context"
	"fmt"
	"time"

	"github.com/tidemark-go/tidemark/internal/seed"
	"github.com/tidemark-go/tidemark/persist"
)

// Store is an empty location, which one run uses up. It says how to open runtimes there,
// and what may happen to the location.
type Store struct {
	// Open opens the only runtime that writes. It is called again after the runtime before
	// was stopped.
	Open func(ctx context.Context) (*persist.Client, error)
	// OpenRead opens a read-only runtime that follows the writing one. Half of the
	// listeners are at such runtimes. nil means that there are none.
	OpenRead func(ctx context.Context) (*persist.ReadClient, error)
	// Troubles are what may happen to the location beside restarts. Each happens at least
	// once in a run that is long enough.
	Troubles []Trouble
	// Expected says which other errors clients may get while there is trouble. The errors
	// of package persist that tell a client what to do are expected anyway. nil means no
	// others.
	Expected func(error) bool
}

// Trouble is something that happens to a location while clients use it.
type Trouble struct {
	Name string
	// Strike makes it happen, and returns a function that ends it, or nil if there is
	// nothing to end. seed decides what is left to chance.
	Strike func(ctx context.Context, seed uint64) (end func())
	// Reopen: the runtime does not survive it, and is opened again afterwards.
	Reopen bool
}

// Options say how much a run does. The zero value means the defaults.
type Options struct {
	// Seed decides everything that is left to chance. The environment's TIDEMARK_SEED comes
	// before it. 0 means 1. Goroutines make no two runs alike. So a failure may need
	// several runs of its seed to come again.
	Seed uint64
	// Operations is how many commands and reads the writers ask for, together. 0 means
	// 1000.
	Operations int
	// Writers is the number of clients that write. Each has up to four commands on their
	// way. 0 means 8.
	Writers int
	// Listeners is the number of clients that listen. Each listens to one stream, again and
	// again with a new snapshot and listener. 0 means 20.
	Listeners int
	// Followers is the number of read-only runtimes, if the store has them. 0 means 2.
	Followers int
	// Streams is the number of streams. 0 means 4.
	Streams int
	// CompactEvery is the time between two rounds of maintenance. 0 means 100ms.
	CompactEvery time.Duration
	// Pause is the longest time that a listener sleeps, and that trouble lasts. 0 means
	// 20ms.
	Pause time.Duration
	// Patience is how long listeners may take to deliver the rest after the end of the
	// load. 0 means 30s.
	Patience time.Duration
	// CheckTimeout bounds the search of [Linearizable] for each stream. 0 means 30s.
	CheckTimeout time.Duration
	// MinRate is the number of operations a second below which a run is void. 0 means none:
	// the rate depends on the machine and its other work.
	MinRate int
}

// seeded returns the options with the seed that the environment or the options name.
func (o Options) seeded() (Options, error) {
	n, err := seed.Resolve(o.Seed)
	if err != nil {
		return o, fmt.Errorf("concurrent: %w", err)
	}
	o.Seed = n
	return o, nil
}

func (o Options) withDefaults() Options {
	setDefault(&o.Operations, 1000)
	setDefault(&o.Writers, 8)
	setDefault(&o.Listeners, 20)
	setDefault(&o.Followers, 2)
	setDefault(&o.Streams, 4)
	setDefault(&o.CompactEvery, 100*time.Millisecond)
	setDefault(&o.Pause, 20*time.Millisecond)
	setDefault(&o.Patience, 30*time.Second)
	setDefault(&o.CheckTimeout, 30*time.Second)
	return o
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (o Options) validate(store Store) error {
	switch {
	case store.Open == nil:
		return fmt.Errorf("concurrent: %w: Store.Open is nil: set it", persist.ErrInvalid)
	case o.Operations < 0 || o.Writers < 0 || o.Listeners < 0 || o.Followers < 0 || o.Streams < 0 || o.MinRate < 0:
		return fmt.Errorf("concurrent: %w: %+v: counts must not be negative; 0 means the default", persist.ErrInvalid, o)
	case o.CompactEvery < 0 || o.Pause < 0 || o.Patience < 0 || o.CheckTimeout < 0:
		return fmt.Errorf("concurrent: %w: %+v: durations must not be negative; 0 means the default", persist.ErrInvalid, o)
	}
	return nil
}
