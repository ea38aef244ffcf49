package persist

import (
	"context"
	"fmt"
	"math"
	"sync"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/internal/brief"
	"github.com/tidemark-go/tidemark/storage"
)

// CreateOrLoad returns the handles of a stream. If the name is new, it registers the stream
// with the names of the codecs.
//
// On error the handles are not nil: they carry the error. So a pipeline can be built on
// them, and reports the error on its err side. The error stays with the handles; call
// CreateOrLoad again to retry.
//
// A name is valid UTF-8, of 1 to 1,024 bytes for a stream and of 1 to 4,096 bytes for a
// codec.
//
// Errors: ErrInvalid for a new stream with another name; ErrCodecMismatch, ErrDestroyed,
// ErrStopped, ErrOutcomeUnknown; the context's.
func CreateOrLoad[K, V any](ctx context.Context, c *Client, name string, kc Codec[K], vc Codec[V]) (*WriteHandle[K, V], *ReadHandle[K, V], error) {
	id, err := c.writer.Register(ctx, name, kc.Name(), vc.Name())
	err = translate(err)
	h := handle{owned: c.owned, writer: c.writer, name: name, id: StreamID(id), err: err}
	return &WriteHandle[K, V]{handle: h, kc: kc, vc: vc}, &ReadHandle[K, V]{handle: h, kc: kc, vc: vc}, err
}

// WriteHandle writes to a stream. Several goroutines may use it at once.
//
// Its methods return once the command has its place in the order of commands. They block
// while the runtime is at its limits, under the context. The future is filled when the
// command is durable and visible, or was refused.
type WriteHandle[K, V any] struct {
	handle
	kc Codec[K]
	vc Codec[V]
}

// StreamName returns the name of the stream, even if the handle carries an error.
func (w *WriteHandle[K, V]) StreamName() string { return w.name }

// StreamID returns the id of the stream, or the error that the handle carries.
func (w *WriteHandle[K, V]) StreamID() (StreamID, error) { return w.id, w.usable() }

// Err returns the error that the handle carries, if any. A handle that CreateOrLoad has not
// returned carries ErrInvalid.
func (w *WriteHandle[K, V]) Err() error { return w.usable() }

// Description returns the frontiers of the stream. They reflect every command whose call
// returned before. A writer that was stopped goes on from the upper.
//
// Errors: the handle's; ErrDestroyed, ErrStopped; the context's.
func (w *WriteHandle[K, V]) Description(ctx context.Context) (frontier.Description, error) {
	return w.describe(ctx)
}

// builders recycles the scratch memory of encoding.
var builders sync.Pool // of *indexed.ColumnsBuilder

// maxPooledBytes bounds the memory that one pooled builder keeps. Without it, a single
// large write would stay in memory.
const maxPooledBytes = 1 << 20

// A large write reserves memory by the average size of the updates that are encoded so far.
// It first does so after knownUpdates of them, each time for growth times as many in all.
// Plain append would copy everything again for each quarter that is added.
const (
	knownUpdates = 64
	growth       = 8
)

// encode adds updates to a command. If check is not nil, it is called for each update.
func (w *WriteHandle[K, V]) encode(c *indexed.Command, updates []Update[K, V], check func(i int, u *Update[K, V]) error) error {
	b, ok := builders.Get().(*indexed.ColumnsBuilder)
	if !ok {
		b = new(indexed.ColumnsBuilder)
	}
	defer func() {
		if b.Cap() <= maxPooledBytes {
			b.Reset()
			builders.Put(b)
		}
	}()
	known := knownUpdates
	for i := range updates {
		if i == known {
			// Do not reserve for all updates at once: if the first few values are large,
			// that would take far too much memory.
			known *= growth
			b.Grow(min(known, len(updates)) - i)
		}
		u := &updates[i]
		if check != nil {
			if err := check(i, u); err != nil {
				return err
			}
		}
		if u.Diff == math.MinInt64 {
			return w.invalid("%s, has the diff %d, "+leastDiff, which(i, updates), u.Diff)
		}
		if err := indexed.AddTyped(b, w.kc, w.vc, u.Key, u.Val, u.Time, u.Diff); err != nil {
			return fmt.Errorf("tidemark: stream %q: %s: %w", w.name, which(i, updates), err)
		}
	}
	c.WriteFrom(w.engineID(), b)
	return nil
}

const leastDiff = "which no update can retract since an int64 has no number to negate it: write it as two updates"

// which names the update that an error is about. It gives the key, not the index alone:
// operators combine updates that others wrote one by one, so an index says little.
func which[K, V any](i int, updates []Update[K, V]) string {
	//museum:nameless-update
	return fmt.Sprintf("update %d of %d, of key %s at time %d", i, len(updates), brief.Value(updates[i].Key), updates[i].Time)
}

// Write adds updates to the stream. It encodes them and does not keep the slice. Without
// updates it is a command too: it is answered in its turn and writes nothing. Its position
// is that of the newest command before it.
//
// Errors: ErrSealed if the time of an update is before the upper, and then none is written;
// ErrInvalid if a diff is math.MinInt64, which has no negation, or if a codec does not
// append to the bytes that it is given; ErrTooLarge; ErrDestroyed, ErrStopped,
// ErrOutcomeUnknown; the codecs' and the context's; those of the storage that match
// ErrNoEffect.
func (w *WriteHandle[K, V]) Write(ctx context.Context, updates []Update[K, V]) *Future[storage.SeqNo] {
	if err := w.Err(); err != nil {
		return failed(err)
	}
	var c indexed.Command
	if err := w.encode(&c, updates, nil); err != nil {
		return failed(err)
	}
	return submit(ctx, w.writer, &c)
}

// Seal advances the upper of the stream to {upper}: all updates before that time have been
// written. A seal to the upper in force changes nothing and writes nothing, and listeners
// get no event. Its position is then that of the newest command before it.
//
// Errors: ErrSealRegression; ErrDestroyed, ErrStopped, ErrOutcomeUnknown.
func (w *WriteHandle[K, V]) Seal(ctx context.Context, upper uint64) *Future[storage.SeqNo] {
	return w.command(ctx, func(c *indexed.Command) { c.Seal(w.engineID(), frontier.At(upper)) })
}

// Finish seals the stream to the empty antichain. Nothing is ever written again, and
// readers come to an end.
//
// Errors: as Seal.
func (w *WriteHandle[K, V]) Finish(ctx context.Context) *Future[storage.SeqNo] {
	return w.command(ctx, func(c *indexed.Command) { c.Seal(w.engineID(), frontier.Empty()) })
}

// AllowCompaction advances the since of the stream: reads can no longer tell earlier times
// apart. The since may be in advance of the upper, for data to come. A since that is in
// force already changes nothing and writes nothing. frontier.Empty() says that nobody
// reads.
//
// Errors: ErrSinceRegression; ErrInvalid for a since that is 1<<63 or more in advance of the
// upper, as upper-1 is at an upper of 0; ErrDestroyed, ErrStopped, ErrOutcomeUnknown.
func (w *WriteHandle[K, V]) AllowCompaction(ctx context.Context, since frontier.Antichain) *Future[storage.SeqNo] {
	return w.command(ctx, func(c *indexed.Command) { c.AllowCompaction(w.engineID(), since) })
}

func (w *WriteHandle[K, V]) command(ctx context.Context, build func(*indexed.Command)) *Future[storage.SeqNo] {
	if err := w.Err(); err != nil {
		return failed(err)
	}
	var c indexed.Command
	build(&c)
	return submit(ctx, w.writer, &c)
}

// CompareAndAppend writes updates with times in [expected, next) and seals the stream to
// next, atomically, if the upper is expected. So of several writers with the same
// expectation one succeeds. Repeating the call after ErrOutcomeUnknown, a crash or a lost
// answer is safe: if the first try took effect, the second finds that the upper is next
// already.
//
// Without updates, and with next equal to expected, it asserts the upper. It fails if the
// upper is another one. Otherwise it changes nothing and writes nothing, and listeners get
// no event. Its position is that of the newest command before it.
//
// Errors: ErrUpperMismatch, and errors.As gives an *UpperMismatchError with the upper in
// force; ErrInvalid if an update lies outside [expected, next), or next is before expected;
// as Write.
func (w *WriteHandle[K, V]) CompareAndAppend(ctx context.Context, updates []Update[K, V], expected, next frontier.Antichain) *Future[storage.SeqNo] {
	return w.CompareAndAppendIn(ctx, nil, updates, expected, next)
}

func (w *WriteHandle[K, V]) addCompareAndAppend(c *indexed.Command, updates []Update[K, V], expected, next frontier.Antichain) error {
	switch {
	case expected == next && len(updates) == 0:
		// Do not seal to the upper in force. If the command changes something else,
		// listeners would get an event for that seal.
		c.ExpectUpper(w.engineID(), expected)
		return nil
	case !expected.LessThan(next):
		return w.invalid("compare-and-append of %d updates from %s to %s: the next upper must be in advance of the expected one, or the same to assert it without updates", len(updates), expected, next)
	}
	if err := w.encode(c, updates, func(i int, u *Update[K, V]) error {
		if !expected.Admits(u.Time) || next.Admits(u.Time) {
			return w.invalid("%s, lies outside [%s, %s)", which(i, updates), expected, next)
		}
		return nil
	}); err != nil {
		return err
	}
	c.ExpectUpper(w.engineID(), expected)
	c.Seal(w.engineID(), next)
	return nil
}
