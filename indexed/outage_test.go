package indexed_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/storage"
)

// lines keeps what a runtime logs.
type lines struct {
	mu      sync.Mutex
	records []slog.Record
}

func (l *lines) Enabled(context.Context, slog.Level) bool { return true }
func (l *lines) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *lines) WithGroup(string) slog.Handler            { return l }
func (l *lines) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.Message != "runtime opened" && r.Message != "runtime stopped" {
		l.records = append(l.records, r)
	}
	return nil
}

func (l *lines) texts() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var texts []string
	for _, r := range l.records {
		texts = append(texts, r.Message)
	}
	return texts
}

// attr returns an attribute of a line.
func (l *lines) attr(line int, key string) (value any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records[line].Attrs(func(a slog.Attr) bool {
		if a.Key == key {
			value = a.Value.Any()
		}
		return true
	})
	return value
}

const (
	refuses   = "the log refuses commands; they fail without effect until it takes them again"
	takes     = "the log takes commands again"
	toTheEnd  = "the log refused commands to the end"
	failed    = "append to the log failed: no more commands are accepted"
	handedOff = "background work has ended: no more is flushed, merged or deleted until the location is opened again"
)

// An outage of the log has a line at its beginning and one at its end, however many
// commands it refuses, for whatever reasons, and also if it takes some of them.
func TestLogOutage(t *testing.T) {
	for name, test := range map[string]struct {
		run  func(o *outageTest)
		want []string
	}{
		"one": {func(o *outageTest) {
			o.faults.SetDown()
			for range 10_000 {
				o.refused(storage.ErrNoEffect)
				<-time.After(time.Millisecond)
			}
			o.faults.SetUp()
			o.taken()
		}, []string{refuses, takes}},
		"its error changes": {func(o *outageTest) {
			for _, err := range slices.Repeat([]error{syscall.ENOSPC, syscall.EIO, context.Canceled}, 100) {
				o.faults.Inject(mem.Fault{Op: mem.OpAppend, Err: err})
				o.refused(err)
			}
			o.taken()
			require.ErrorIs(o, o.log.attr(1, "newest_error").(error), context.Canceled)
		}, []string{refuses, takes}},
		"small ones pass": {func(o *outageTest) {
			for range 1000 {
				o.faults.Inject(mem.Fault{Op: mem.OpAppend, Err: syscall.ENOSPC})
				o.refused(syscall.ENOSPC)
				o.accepted()
				<-time.After(time.Second)
			}
			o.accepted()
			<-time.After(time.Minute)
		}, []string{refuses, takes}},
		"two in a Row": {func(o *outageTest) {
			for range 2 {
				o.faults.SetDown()
				o.refused(mem.ErrUnavailable)
				o.faults.SetUp()
				o.taken()
			}
		}, []string{refuses, takes, refuses, takes}},
		"it ends with the runtime": {func(o *outageTest) {
			o.faults.SetDown()
			for range 10 {
				o.refused(mem.ErrUnavailable)
			}
			require.Error(o, o.Stop(), "the storage is down")
			require.EqualValues(o, 10, o.log.attr(1, "commands"))
		}, []string{refuses, toTheEnd}},
		"it is over, and the runtime stops": {func(o *outageTest) {
			o.faults.SetDown()
			o.refused(mem.ErrUnavailable)
			o.faults.SetUp()
			o.accepted()
			require.NoError(o, o.Stop())
		}, []string{refuses, takes}},
		"somebody else takes the location meanwhile": {func(o *outageTest) {
			o.faults.SetDown()
			o.refused(mem.ErrUnavailable)
			o.faults.SetUp()
			o.faults.Inject(mem.Fault{Op: mem.OpAppend, Err: storage.ErrConflict})
			o.refused(indexed.ErrStopped)
			o.refused(indexed.ErrStopped)
			<-time.After(time.Hour)
			require.InDelta(o, 1, o.gauge("tidemark_log_outage"), 0)
		}, []string{refuses, handedOff, toTheEnd, failed}},
		"an unknown outcome": {func(o *outageTest) {
			o.faults.Inject(mem.Fault{Op: mem.OpAppend, Outcome: mem.AnswerLost})
			o.refused(indexed.ErrOutcomeUnknown)
			o.refused(indexed.ErrStopped)
			require.InDelta(o, 1, o.gauge("tidemark_log_outage"), 0)
		}, []string{failed}},
		"one command that is too large": {func(o *outageTest) {
			for range 3 {
				o.faults.Inject(mem.Fault{Op: mem.OpAppend, Err: storage.ErrTooLarge})
				o.refused(storage.ErrTooLarge)
			}
			require.InDelta(o, 0, o.gauge("tidemark_log_outage"), 0)
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log, registry := new(lines), prometheus.NewRegistry()
				cfg := still()
				cfg.Logger, cfg.Registerer = slog.New(log), registry
				o := &outageTest{fixture: newFixture(t, cfg), log: log, registry: registry}
				o.stream = o.register("s")
				test.run(o)
				_ = o.Stop()
				require.Equal(t, test.want, log.texts())
			})
		})
	}
}

type outageTest struct {
	*fixture
	log      *lines
	registry *prometheus.Registry
	stream   indexed.StreamID
	failures int
	began    time.Time
}

func (o *outageTest) try() error {
	_, err := o.submit(func(c *indexed.Command) { c.Write(o.stream, columns(up("a", 1))) })
	return err
}

func (o *outageTest) refused(want error) {
	o.Helper()
	if o.failures++; o.failures == 1 {
		o.began = time.Now()
	}
	require.ErrorIs(o, o.try(), want)
}

func (o *outageTest) accepted() {
	o.Helper()
	require.NoError(o, o.try())
}

// taken waits until the outage is over.
func (o *outageTest) taken() {
	o.Helper()
	require.InDelta(o, 1, o.gauge("tidemark_log_outage"), 0)
	took := time.Since(o.began)
	o.accepted()
	require.InDelta(o, 0, o.gauge("tidemark_log_outage"), 0)
	<-time.After(10 * time.Second)
	end := len(o.log.texts()) - 1
	require.EqualValues(o, o.failures, o.log.attr(end, "commands"))
	require.EqualValues(o, o.failures, o.log.attr(end, "appends"))
	require.Equal(o, took, o.log.attr(end, "took"), "until the first append that took effect")
	o.failures = 0
}

func (o *outageTest) gauge(name string) float64 {
	o.Helper()
	families, err := o.registry.Gather()
	require.NoError(o, err)
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	require.Fail(o, "no metric "+name)
	return 0
}

// So has work in the background that fails for hours.
func TestBackgroundOutages(t *testing.T) {
	for name, test := range map[string]struct {
		fault mem.Fault
		want  []string
	}{
		"rounds": {mem.Fault{Op: mem.OpSetIf}, []string{
			"maintenance failed; it is tried again and again", "maintenance succeeds again",
		}},
		"truncation": {mem.Fault{Op: mem.OpTruncate}, []string{
			"could not truncate the log; it is tried again and again", "the log could be truncated again",
		}},
		"merges": {mem.Fault{Op: mem.OpSet}, []string{
			"merge failed; it is tried again and again", "merges succeed again",
		}},
		"deletions": {mem.Fault{Op: mem.OpDelete}, []string{
			"blobs that are needed no more could not be deleted; it is tried again and again", "blobs could be deleted again",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := new(lines)
				faults, place := mem.NewUnreliable(), mem.NewPlace("p")
				f := &fixture{TB: t, ctx: t.Context(), place: place, faults: faults}
				l, b := f.storage()
				e, err := indexed.Open(f.ctx, l, b, indexed.Config{
					MinStepInterval: time.Second, FlushInterval: time.Second, FlushBytes: 1, Logger: slog.New(log),
				})
				require.NoError(t, err)
				f.Engine = e
				defer e.Stop()
				id := f.register("s")
				batches := func(n int) {
					for i := range uint64(n) {
						f.write(id, up("a", i))
						f.seal(id, frontier.At(i+1))
						<-time.After(5 * time.Second)
					}
				}
				batches(10)
				test.fault.Sticky = true
				heal := faults.Inject(test.fault)
				// From now on there is something to write, to merge, to truncate and to delete.
				f.seal(id, frontier.At(100))
				f.allow(id, frontier.At(99))
				<-time.After(time.Minute)
				if name != "merges" {
					f.write(id, up("b", 101))
				}
				<-time.After(3 * time.Hour)
				require.Equal(t, test.want[:1], log.texts())
				heal()
				<-time.After(time.Hour)
				f.write(id, up("c", 102))
				<-time.After(time.Hour)
				require.Equal(t, test.want, log.texts())
			})
		})
	}
}

// When background work ends for good it says why, once, whoever has noticed it.
func TestBackgroundWorkEndsWithALine(t *testing.T) {
	for _, op := range []mem.Op{mem.OpSetIf, mem.OpTruncate, mem.OpSet, mem.OpDelete} {
		t.Run(fmt.Sprint(op), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := new(lines)
				f := &fixture{TB: t, ctx: t.Context(), place: mem.NewPlace("p"), faults: mem.NewUnreliable()}
				l, b := f.storage()
				e, err := indexed.Open(f.ctx, l, b, indexed.Config{
					MinStepInterval: time.Second, FlushInterval: time.Second, FlushBytes: 1, Logger: slog.New(log),
				})
				require.NoError(t, err)
				f.Engine = e
				defer e.Stop()
				id := f.register("s")
				cause := errors.New("somebody else has been here")
				for i := range uint64(10) {
					f.write(id, up("a", i))
					f.seal(id, frontier.At(i+1))
					<-time.After(5 * time.Second)
				}
				f.faults.Inject(mem.Fault{Op: op, Sticky: true, Err: errors.Join(storage.ErrConflict, cause)})
				f.write(id, up("a", 20))
				f.allow(id, frontier.At(9))
				<-time.After(time.Hour)
				require.Equal(t, 1, countOf(log.texts(), handedOff), "%q", log.texts())
				require.LessOrEqual(t, len(log.texts()), 2, "%q", log.texts())
				i := slices.Index(log.texts(), handedOff)
				require.ErrorIs(t, log.attr(i, "error").(error), cause)

				// A state that breaks after that ends nothing but what had not ended.
				f.AdvanceBehindThePlan(id, frontier.At(90))
				_, err = f.submit(func(c *indexed.Command) { c.Write(id, columns(up("b", 20))) })
				require.ErrorIs(t, err, indexed.ErrOutcomeUnknown)
				require.Equal(t, 1, countOf(log.texts(), handedOff), "%q", log.texts())
			})
		})
	}
}

func countOf(list []string, text string) (n int) {
	for _, s := range list {
		if s == text {
			n++
		}
	}
	return n
}
