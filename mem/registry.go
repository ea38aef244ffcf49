package mem

import (
	"context"
	"fmt"
	"sync"

	"github.com/google/uuid"

	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// Registry is a place in memory that outlives the runtimes that are opened on it. Stopping
// one runtime and opening the next is a restart. Several goroutines may use a Registry at
// once.
type Registry struct{ place *Place }

// NewRegistry returns an empty registry.
func NewRegistry(options ...PlaceOption) *Registry {
	return &Registry{place: NewPlace("registry", options...)}
}

// Place returns the place behind the registry, for crashes and faults on demand.
func (r *Registry) Place() *Place { return r.place }

// Runtime opens a runtime on the registry.
//
// Errors: persist.ErrLocked while another one is running; as persist.Start.
func (r *Registry) Runtime(ctx context.Context, cfg persist.Config) (*persist.Client, error) {
	return openRuntime(ctx, r.place, storage.LockInfo{Owner: uuid.NewString()}, nil, cfg)
}

// RuntimeUnreliable is Runtime on storage that u wraps: every operation goes through u.
func (r *Registry) RuntimeUnreliable(ctx context.Context, u *Unreliable, cfg persist.Config) (*persist.Client, error) {
	return openRuntime(ctx, r.place, storage.LockInfo{Owner: uuid.NewString()}, u, cfg)
}

// ReadRuntime opens a read-only runtime on the registry. It follows the runtime that writes
// to the registry, if there is one. Any number of read-only runtimes may be open.
func (r *Registry) ReadRuntime(ctx context.Context, cfg persist.Config) (*persist.ReadClient, error) {
	return persist.StartFollow(ctx, r.place.OpenLogReader(), r.place.OpenBlobReader(), cfg)
}

func openRuntime(ctx context.Context, p *Place, lock storage.LockInfo, u *Unreliable, cfg persist.Config) (*persist.Client, error) {
	l, err := p.OpenLog(lock)
	if err != nil {
		return nil, fmt.Errorf("mem: open %s: %w", p.name, err)
	}
	b, err := p.OpenBlob(lock)
	if err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("mem: open %s: %w", p.name, err)
	}
	if u == nil {
		return persist.Start(ctx, l, b, cfg)
	}
	return persist.Start(ctx, u.Log(l), u.Blob(b), cfg)
}

// MultiRegistry is many places in memory, each with a name. Several goroutines may use it
// at once.
type MultiRegistry struct {
	mu     sync.Mutex
	places map[string]*Place // guarded by mu
}

// NewMultiRegistry returns an empty registry.
func NewMultiRegistry() *MultiRegistry { return &MultiRegistry{places: make(map[string]*Place)} }

// Place returns the place with the given name. It makes the place if the name is new.
func (m *MultiRegistry) Place(path string) *Place {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.places[path]
	if p == nil {
		p = NewPlace(path)
		m.places[path] = p
	}
	return p
}

// Open opens a runtime on the place with the given name, for an owner. The same owner may
// open it again. That fences the runtime before it, which refuses writes from then on, as
// if a process had been replaced.
//
// Errors: persist.ErrLocked while another owner has the place open; as persist.Start.
func (m *MultiRegistry) Open(ctx context.Context, path, owner string, cfg persist.Config) (*persist.Client, error) {
	return openRuntime(ctx, m.Place(path), storage.LockInfo{Owner: owner}, nil, cfg)
}

// OpenRead opens a read-only runtime on the place with the given name.
func (m *MultiRegistry) OpenRead(ctx context.Context, path string, cfg persist.Config) (*persist.ReadClient, error) {
	p := m.Place(path)
	return persist.StartFollow(ctx, p.OpenLogReader(), p.OpenBlobReader(), cfg)
}
