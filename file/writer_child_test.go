//go:build unix

package file_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

const (
	writers   = 4 // goroutines of a writer child
	pipelined = 4 // commands of each that may be unanswered
)

type (
	textUpdate = persist.Update[string, string]
	textWriter = persist.WriteHandle[string, string]
	textReader = persist.ReadHandle[string, string]
)

// hurried are limits so small that everything happens all the time: segments change
// and are used again, tails are flushed, the manifest is edited, batches are merged.
func hurried() (persist.Config, file.Option) {
	return persist.Config{
		MinStepInterval: time.Millisecond, FlushInterval: 2 * time.Millisecond,
		FlushBytes: 8 << 10, PartBytes: 8 << 10, MaxLogBytes: 32 << 10,
		CacheSizeLimit: 16 << 10, ListenerWindowBytes: 8 << 10, FollowInterval: time.Millisecond,
	}, file.SegmentSize(file.MinSegmentSize, 2*file.MinSegmentSize)
}

// runtimeLog says every line that a runtime logs.
type runtimeLog struct{ v *voice }

func (h runtimeLog) Enabled(context.Context, slog.Level) bool { return true }
func (h runtimeLog) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h runtimeLog) WithGroup(string) slog.Handler            { return h }
func (h runtimeLog) Handle(_ context.Context, r slog.Record) error {
	h.v.say(said{What: "log", Text: r.Message})
	return nil
}

// writeUntilKilled opens a runtime, says what is in it, and then has several
// goroutines write, seal, compact and maintain until it is killed or told to end.
// It says every command before it asks for it, when the call has returned, and when
// the answer is there.
func writeUntilKilled(v *voice, role childRole) error {
	v.say(said{What: "starting"})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	cfg, segments := hurried()
	cfg.Logger = slog.New(runtimeLog{v})
	client, err := file.Open(ctx, role.Dir, cfg, segments)
	if err != nil {
		return err
	}
	v.say(said{What: "open"})
	w := &writingChild{voice: v, role: role, client: client, failed: make(chan error, writers+2), temps: map[string]*textWriter{}}
	if err := w.load(ctx); err != nil {
		return err
	}
	v.say(said{What: "loaded"})
	go func() {
		v.untilToldToEnd()
		cancel()
		w.failed <- nil
	}()
	var group sync.WaitGroup
	for i := range writers {
		group.Go(func() { w.fail(ctx, w.write(ctx, i)) })
	}
	group.Go(func() { w.fail(ctx, w.maintain(ctx)) })
	if err := <-w.failed; err != nil {
		return err
	}
	group.Wait()
	v.say(said{What: "stopping"})
	if err := client.Stop(); err != nil {
		return err
	}
	v.say(said{What: "stopped"})
	return nil
}

type writingChild struct {
	*voice
	role   childRole
	client *persist.Client
	failed chan error

	own          [writers]*textWriter
	shared, race *textWriter
	multi        *persist.MultiWriteHandle
	live         [writers]map[string][]row // rows to be taken back one day, by stream; each writer has its own
	temps        map[string]*textWriter    // used by maintain alone

	// floor is held, shared, while a time in the shared stream is chosen and written,
	// and exclusively while that stream is sealed. It guards upper, which is the shared
	// stream's, uppers and sinces.
	floor struct {
		sync.RWMutex
		upper uint64
	}
	uppers, sinces map[string]uint64
}

// fail ends the process, unless it is ending.
func (w *writingChild) fail(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		w.failed <- err
	}
}

func ownStream(i int) string { return fmt.Sprintf("own-%d", i) }

// load opens the streams and says what they hold.
func (w *writingChild) load(ctx context.Context) error {
	w.uppers, w.sinces = map[string]uint64{}, map[string]uint64{}
	for i := range w.live {
		w.live[i] = map[string][]row{}
	}
	names := []string{"shared", "race"}
	for i := range writers {
		names = append(names, ownStream(i))
	}
	infos, err := w.client.Streams(ctx)
	if err != nil {
		return err
	}
	for _, info := range infos {
		if !slices.Contains(names, info.Name) {
			names = append(names, info.Name)
		}
	}
	handles := map[string]*textWriter{}
	for _, name := range names {
		writer, reader, err := persist.CreateOrLoad(ctx, w.client, name, codec.String, codec.String)
		if err != nil {
			return err
		}
		handles[name] = writer
		snapshot, err := reader.Snapshot(ctx)
		if err != nil {
			return err
		}
		seen, err := viewOf(ctx, name, snapshot)
		if err != nil {
			return err
		}
		w.say(said{What: "view", View: seen})
		w.uppers[name], w.sinces[name] = seen.Upper, seen.Since
		w.remember(name, seen.Rows)
	}
	w.shared, w.race = handles["shared"], handles["race"]
	members := []persist.Stream{w.shared, w.race}
	for i := range w.own {
		w.own[i] = handles[ownStream(i)]
		members = append(members, w.own[i])
	}
	for name, h := range handles {
		if strings.HasPrefix(name, "temp-") {
			w.temps[name] = h
		}
	}
	w.floor.upper = w.uppers["shared"]
	w.multi, err = persist.NewMultiWriteHandle(members...)
	return err
}

// remember gives the rows of a stream to the writers that will take them back.
func (w *writingChild) remember(name string, rows []row) {
	sum := map[string]row{}
	for _, r := range rows {
		r.Diff += sum[r.Key].Diff
		sum[r.Key] = r
	}
	for _, key := range slices.Sorted(maps.Keys(sum)) {
		if r := sum[key]; r.Diff != 0 {
			i := 0
			if _, err := fmt.Sscanf(name, "own-%d", &i); err != nil {
				i = len(key) % writers
			}
			w.live[i][name] = append(w.live[i][name], r)
		}
	}
}

// maintain does the background work by hand now and then, reads, and creates and
// destroys streams.
func (w *writingChild) maintain(ctx context.Context) error {
	o := &oneWriter{writingChild: w, i: writers, rng: rand.New(rand.NewPCG(w.role.Seed, uint64(w.role.Incarnation)<<32))}
	for ctx.Err() == nil {
		// Under this load it may take long; what was done by then stays done.
		limited, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		err := w.client.Maintain(limited)
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		w.say(said{What: "maintained"})
		name := fmt.Sprintf("temp-%d-%d", w.role.Incarnation, o.n)
		id := fmt.Sprintf("%d.%d.%d", w.role.Incarnation, writers, o.n)
		switch o.rng.IntN(10) {
		case 0:
			w.say(said{What: "submit", Command: &command{ID: id, Create: name}})
			o.n++
			h, _, err := persist.CreateOrLoad(ctx, w.client, name, codec.String, codec.String)
			if err != nil {
				return err
			}
			w.say(said{What: "acked", ID: id})
			w.temps[name] = h
			rows := []row{{Key: name, Size: 100, Time: 1, Diff: 1}}
			if err := o.submit(&command{Writes: []write{{name, rows}}}, func() *persist.Future[storage.SeqNo] {
				return h.Write(ctx, updatesOf(rows))
			}); err != nil {
				return err
			}
			a := o.waiting[0]
			o.waiting = nil
			seqno, err := a.ans.Wait(ctx)
			if err != nil {
				return err
			}
			w.say(said{What: "acked", ID: a.c.ID, SeqNo: seqno})
		case 1:
			if len(w.temps) == 0 {
				continue
			}
			name = slices.Min(slices.Collect(maps.Keys(w.temps)))
			w.say(said{What: "submit", Command: &command{ID: id, Destroy: name}})
			o.n++
			if _, err := w.client.Destroy(ctx, name); err != nil {
				return err
			}
			w.say(said{What: "acked", ID: id})
			delete(w.temps, name)
		default:
		}
	}
	return nil
}
