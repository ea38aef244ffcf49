package tidemarktest

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"sync"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
)

// Update is an update of the streams of a model, whose keys and values are strings.
type Update = persist.Update[string, string]

// Change is what a command does to one stream. Fields that are nil do nothing.
type Change struct {
	Stream  string
	Updates []Update
	// Seal is the new upper, Allow the new since.
	Seal, Allow *frontier.Antichain
	// Expect makes the change a compare-and-append: the stream's upper must be Expect, and
	// the updates must lie in [Expect, Seal). It needs a Seal. If Seal is Expect and there
	// are no updates, the change asserts the upper and does nothing else.
	Expect *frontier.Antichain
}

// asserts says that the change only asserts the upper in force.
func (c *Change) asserts() bool {
	return c.Expect != nil && c.Seal != nil && *c.Expect == *c.Seal && len(c.Updates) == 0
}

// seal returns the upper that the change seals to, or nil.
func (c *Change) seal() *frontier.Antichain {
	if c.asserts() {
		return nil
	}
	return c.Seal
}

// Command is a run of changes that take effect together or not at all.
type Command []Change

// Model is the reference: what a location holds, in the simplest form there is. For each
// stream it keeps a slice of updates, an upper and a since. Several goroutines may use it
// at once.
type Model struct {
	mu      sync.Mutex // guards everything below
	streams map[string]*stream
}

// stream is replaced and never changed, so that models can share it.
type stream struct {
	updates      []Update // as they were written
	upper, since frontier.Antichain
	moved        frontier.Antichain // the last since that was not empty: an empty one moves no times
	destroyed    bool
}

// NewModel returns the model of an empty location.
func NewModel() *Model { return &Model{streams: make(map[string]*stream)} }

// Clone returns a copy. Later changes of one do not change the other.
func (m *Model) Clone() *Model {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &Model{streams: maps.Clone(m.streams)}
}

// Names returns the names of the live streams, sorted.
func (m *Model) Names() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	for name, s := range m.streams {
		if !s.destroyed {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Create registers a stream. A stream that exists stays as it is.
//
// Errors: persist.ErrDestroyed.
func (m *Model) Create(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch s := m.streams[name]; {
	case s == nil:
		m.streams[name] = &stream{}
	case s.destroyed:
		return persist.ErrDestroyed
	}
	return nil
}

// Destroy destroys a stream, and reports whether it was there.
//
// Errors: persist.ErrUnknownStream.
func (m *Model) Destroy(name string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.streams[name]
	if s == nil {
		return false, persist.ErrUnknownStream
	}
	m.streams[name] = &stream{destroyed: true}
	return !s.destroyed, nil
}

// Description returns the frontiers of a stream.
//
// Errors: persist.ErrUnknownStream, persist.ErrDestroyed.
func (m *Model) Description(name string) (frontier.Description, error) {
	s, err := m.live(name)
	if err != nil {
		return frontier.Description{}, err
	}
	return frontier.Description{Upper: s.upper, Since: s.since}, nil
}

// Contents returns the consolidated updates of a stream, with times advanced to its since,
// sorted by key, value and time.
//
// Errors: as Description; persist.ErrOverflow.
func (m *Model) Contents(name string) ([]Update, error) {
	s, err := m.live(name)
	if err != nil {
		return nil, err
	}
	return s.sums(s.updates).rows()
}

// Advance returns rows in the form of Contents. The rows were read from a stream while its
// since was empty, so some of their times are advanced and some are not.
//
// Errors: as Contents.
func (m *Model) Advance(name string, rows []Update) ([]Update, error) {
	s, err := m.live(name)
	if err != nil {
		return nil, err
	}
	return s.sums(rows).rows()
}

// AsOf returns the contents of a stream as of a time, as Snapshot.AsOf does.
//
// Errors: as Contents; persist.ErrAsOfBeforeSince.
func (m *Model) AsOf(name string, t uint64) ([]Update, error) {
	return m.asOf(name, t, func(string) bool { return true })
}

// asOf is AsOf for some keys.
func (m *Model) asOf(name string, t uint64, of func(key string) bool) ([]Update, error) {
	s, err := m.live(name)
	if err != nil {
		return nil, err
	}
	if !s.since.Admits(t) {
		return nil, persist.ErrAsOfBeforeSince
	}
	until := slices.DeleteFunc(slices.Clone(s.updates), func(u Update) bool { return s.moved.Advance(u.Time) > t || !of(u.Key) })
	return add(until, frontier.At(t)).rows()
}

// Between returns the contents of a stream with times in [lower, upper), as
// Snapshot.Between does.
//
// Errors: as Contents; persist.ErrAsOfBeforeSince.
func (m *Model) Between(name string, lower, upper frontier.Antichain) ([]Update, error) {
	s, err := m.live(name)
	if err != nil {
		return nil, err
	}
	if !s.since.LessEqual(lower) {
		return nil, persist.ErrAsOfBeforeSince
	}
	sums := s.sums(s.updates)
	maps.DeleteFunc(sums, func(u Update, _ *big.Int) bool { return !lower.Admits(u.Time) || upper.Admits(u.Time) })
	return sums.rows()
}

func (m *Model) live(name string) (*stream, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch s := m.streams[name]; {
	case s == nil:
		return nil, persist.ErrUnknownStream
	case s.destroyed:
		return nil, persist.ErrDestroyed
	default:
		return s, nil
	}
}

// Apply makes a command take effect. Or it returns all the reasons why the command is
// refused, joined. Then nothing has changed.
//
// Updates are compared with the uppers from before the command. Of several seals of one
// stream, the last in time counts. The same holds for several allowed compactions.
//
// Errors: persist.ErrUnknownStream, ErrDestroyed, ErrUpperMismatch, ErrSealed,
// ErrSealRegression, ErrSinceRegression, ErrInvalid.
func (m *Model) Apply(c Command) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var refusals []error
	refuse := func(when bool, err error) {
		if when && !slices.Contains(refusals, err) {
			refusals = append(refusals, err)
		}
	}
	after := make(map[string]*stream)
	for _, ch := range c {
		if ch.Expect != nil { // first: what the change alone decides
			refuse(ch.Seal == nil || !ch.asserts() && !ch.Expect.LessThan(*ch.Seal), persist.ErrInvalid)
			refuse(slices.ContainsFunc(ch.Updates, func(u Update) bool {
				return !ch.Expect.Admits(u.Time) || ch.Seal != nil && ch.Seal.Admits(u.Time)
			}), persist.ErrInvalid)
		}
		refuse(slices.ContainsFunc(ch.Updates, func(u Update) bool { return u.Diff == math.MinInt64 }), persist.ErrInvalid)
		before := m.streams[ch.Stream]
		if before == nil || before.destroyed {
			refuse(before == nil, persist.ErrUnknownStream)
			refuse(before != nil, persist.ErrDestroyed)
			continue
		}
		refuse(ch.Expect != nil && *ch.Expect != before.upper, persist.ErrUpperMismatch)
		for _, u := range ch.Updates {
			refuse(!before.upper.Admits(u.Time), persist.ErrSealed)
		}
		s := after[ch.Stream]
		if s == nil {
			s = &stream{updates: slices.Clip(before.updates)}
			after[ch.Stream] = s
		}
		s.updates = append(s.updates, ch.Updates...)
	}
	for name, s := range after {
		before := m.streams[name]
		var seal, allow *frontier.Antichain
		for _, ch := range c {
			if ch.Stream == name {
				seal, allow = latest(seal, ch.seal()), latest(allow, ch.Allow)
			}
		}
		s.upper, s.since, s.moved = before.upper, before.since, before.moved
		if seal != nil {
			refuse(seal.LessThan(before.upper), persist.ErrSealRegression)
			s.upper = *seal
		}
		if allow != nil {
			refuse(allow.LessThan(before.since), persist.ErrSinceRegression)
			to, some := allow.Elem()
			upper, unfinished := s.upper.Elem()
			wrapped := some && unfinished && to > upper && to-upper > math.MaxInt64
			refuse(wrapped && *allow != before.since, persist.ErrInvalid)
			s.since = *allow
			if !allow.IsEmpty() {
				s.moved = *allow
			}
		}
	}
	if refusals != nil {
		return errors.Join(refusals...)
	}
	maps.Copy(m.streams, after)
	return nil
}

// Changes reports whether an acceptable command changes anything: it has updates, or moves
// a frontier. A command that changes nothing is acknowledged at the newest position, and no
// listener hears of it.
func (m *Model) Changes(c Command) bool {
	for _, ch := range c {
		s, err := m.live(ch.Stream)
		if err != nil || len(ch.Updates) > 0 || ch.Seal != nil && s.upper.LessThan(*ch.Seal) || ch.Allow != nil && s.since.LessThan(*ch.Allow) {
			return true
		}
	}
	return false
}

// Events returns what a listener of a stream hears of a command that changes something: at
// most one event of updates, and then at most one of a seal.
func (c Command) Events(name string) []persist.ListenEvent[string, string] {
	var updates []Update
	var seal *frontier.Antichain
	for _, ch := range c {
		if ch.Stream == name {
			updates, seal = append(updates, ch.Updates...), latest(seal, ch.seal())
		}
	}
	var events []persist.ListenEvent[string, string]
	if len(updates) > 0 {
		events = append(events, persist.ListenEvent[string, string]{Updates: updates})
	}
	if seal != nil {
		events = append(events, persist.ListenEvent[string, string]{Sealed: *seal})
	}
	return events
}

func latest(a, b *frontier.Antichain) *frontier.Antichain {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	join := a.Join(*b)
	return &join
}

// sums are the sums of the diffs of equal updates. The updates that are keys have a diff of
// 0. No sum is 0.
type sums map[Update]*big.Int

// sums is the plain meaning of a collection: its updates, with times advanced to the since,
// added up.
func (s *stream) sums(updates []Update) sums { return add(updates, s.moved) }

func add(updates []Update, since frontier.Antichain) sums {
	all := make(sums, len(updates))
	for _, u := range updates {
		diff := big.NewInt(u.Diff)
		u.Time, u.Diff = since.Advance(u.Time), 0
		if sum, ok := all[u]; ok {
			diff.Add(diff, sum)
		}
		all[u] = diff
	}
	maps.DeleteFunc(all, func(_ Update, sum *big.Int) bool { return sum.Sign() == 0 })
	return all
}

func (s sums) equal(other sums) bool {
	return maps.EqualFunc(s, other, func(a, b *big.Int) bool { return a.Cmp(b) == 0 })
}

// String lists the sums, whatever their size.
func (s sums) String() string {
	texts := make([]string, 0, len(s))
	for u, sum := range s {
		texts = append(texts, fmt.Sprintf("%q=%q @%d %+d", u.Key, u.Val, u.Time, sum))
	}
	slices.Sort(texts)
	return fmt.Sprint(texts)
}

// rows returns the sums as updates, sorted. Errors: persist.ErrOverflow.
func (s sums) rows() ([]Update, error) {
	rows := make([]Update, 0, len(s))
	for u, sum := range s {
		if !sum.IsInt64() {
			return nil, persist.ErrOverflow
		}
		u.Diff = sum.Int64()
		rows = append(rows, u)
	}
	slices.SortFunc(rows, func(a, b Update) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Val, b.Val), cmp.Compare(a.Time, b.Time))
	})
	return rows, nil
}
