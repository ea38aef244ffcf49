package tidemarktest

import (
	"context"
	"fmt"

	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
)

// Store is a location under test: how runtimes are opened on it, one after the other, and
// what can be done to it. Only Open is needed. [Memory] can do everything. For a directory,
// or any storage of your own, say
//
//	store := tidemarktest.Store{
//		Open: func(ctx context.Context, cfg persist.Config) (*persist.Client, error) {
//			return file.Open(ctx, dir, cfg)
//		},
//		OpenRead: func(ctx context.Context, cfg persist.Config) (*persist.ReadClient, error) {
//			return file.OpenRead(ctx, dir, cfg)
//		},
//	}
//
// A store serves one history. It must be empty when the history begins.
type Store struct {
	// Open opens a runtime. It is called again after the runtime before was stopped or has
	// crashed, and must find what that runtime has left. While a runtime is running, it
	// must fail with persist.ErrLocked.
	Open func(ctx context.Context, cfg persist.Config) (*persist.Client, error)

	// OpenRead opens a read-only runtime. It follows the runtime that Open has opened, or
	// will open. nil means that there are no readers.
	OpenRead func(ctx context.Context, cfg persist.Config) (*persist.ReadClient, error)

	// Faults wraps the logs and blobs of Open and OpenRead. Nothing else may use it. nil
	// means that the storage never fails.
	Faults *mem.Unreliable

	// Hold keeps flushes from completing until release is called or the store crashes. nil
	// means that flushes are never held.
	Hold func() (release func())

	// Crash ends everything that is open, readers as well, as a power cut does. All that
	// was acknowledged stays. Of what is in flight, a part stays that depends on seed. nil
	// means that the store never crashes.
	Crash func(seed uint64)

	// Virtual says that nothing in the store waits for anything but channels, timers, and
	// system calls that return at once. Then a history runs in a bubble of
	// testing/synctest: time passes as the history says, and the same seed gives the same
	// history. Without it, a history runs in real time, and chance decides what overlaps.
	Virtual bool
}

// usable says whether histories with these options can come to an end on the store.
//
// Errors: persist.ErrInvalid.
func (s Store) usable(opts Options) error {
	switch {
	case s.Open == nil:
		return fmt.Errorf("tidemarktest: %w: Store.Open is nil: set it", persist.ErrInvalid)
	case opts.Config.MaxTailBytes > 0 && (s.Faults != nil || s.Hold != nil):
		return fmt.Errorf("tidemarktest: %w: Options.Config.MaxTailBytes is set, and the store has Faults or Hold: requests that wait for room would wait for good, since only later requests let flushes complete again; leave one of them out", persist.ErrInvalid)
	default:
		return nil
	}
}

// Memory returns an empty store in memory that can do everything. The options are those of
// its place, such as mem.WithGaps.
func Memory(options ...mem.PlaceOption) Store {
	registry, faults := mem.NewRegistry(options...), mem.NewUnreliable()
	place := registry.Place()
	return Store{
		Open: func(ctx context.Context, cfg persist.Config) (*persist.Client, error) {
			return registry.RuntimeUnreliable(ctx, faults, cfg)
		},
		OpenRead: func(ctx context.Context, cfg persist.Config) (*persist.ReadClient, error) {
			return persist.StartFollow(ctx, faults.LogReader(place.OpenLogReader()), faults.BlobReader(place.OpenBlobReader()), cfg)
		},
		Faults:  faults,
		Hold:    func() func() { return place.HoldFlushes().Open },
		Crash:   func(seed uint64) { place.Crash(mem.KeepRandom(seed)) },
		Virtual: true,
	}
}
