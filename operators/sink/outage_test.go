package sink_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/operators/sink"
	"github.com/tidemark-go/tidemark/persist"
)

// lines is a log that several goroutines write.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), text)
}

// valueOf returns a metric, or -1.
func valueOf(t *testing.T, registry *prometheus.Registry, name string) float64 {
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue() + f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	return -1
}

// However long the log takes nothing, a sink keeps trying and goes on within seconds
// afterwards; it says so in the log, twice, and in the metrics, and not in Err.
func TestLongOutage(t *testing.T) {
	for name, cause := range map[string]error{
		"down":                     nil,
		"disk full":                syscall.ENOSPC,
		"time-outs of the storage": context.DeadlineExceeded,
		"it cancelled":             context.Canceled,
	} {
		for kind, elements := range map[string][]any{
			"batches": {batchOf(0, 1, at("a", 0, 1)), batchOf(1, 2, at("b", 1, 1))},
			"records": {at("a", 0, 1), at("b", 1, 1)},
		} {
			t.Run(name+", "+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					log, registry := new(lines), prometheus.NewRegistry()
					s := openStream(t.Context(), t, mem.NewRegistry(), "out", persist.Config{
						Logger: slog.New(slog.NewTextHandler(log, nil)), Registerer: registry,
					})
					defer s.client.Stop()
					heal := s.unreliable.Inject(mem.Fault{Op: mem.OpAppend, Sticky: true, Err: cause})
					to := sink.New(t.Context(), s.write)
					for _, e := range elements {
						to.In() <- e
					}
					<-time.After(time.Hour)
					synctest.Wait()
					require.NoError(t, to.Err())
					require.InDelta(t, 1, valueOf(t, registry, "tidemark_sink_outages"), 0)
					require.Greater(t, valueOf(t, registry, "tidemark_sink_retry_total"), 700.0)
					heal()
					<-time.After(5 * time.Second)
					synctest.Wait()
					require.Len(t, s.contents(), 2)
					require.Zero(t, log.count("writes again"), "it is not calm yet")
					<-time.After(5 * time.Second)
					synctest.Wait()
					require.InDelta(t, 0, valueOf(t, registry, "tidemark_sink_outages"), 0)
					require.Equal(t, 1, log.count("a sink cannot write and keeps trying"))
					require.Equal(t, 1, log.count("writes again"))
					feed(to)
					require.NoError(t, to.Err())
				})
			})
		}
	}
}

// A log that refuses some commands and takes those between them is one outage: it has one
// line at its beginning and one at its end, which is when all were taken for a while, or
// with the sink.
func TestFlappingLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, registry := new(lines), prometheus.NewRegistry()
		s := openStream(t.Context(), t, mem.NewRegistry(), "out", persist.Config{
			Logger: slog.New(slog.NewTextHandler(log, nil)), Registerer: registry,
		})
		defer s.client.Stop()
		requireLines := func(begun, ended int) {
			t.Helper()
			synctest.Wait()
			require.Equal(t, begun, log.count("a sink cannot write and keeps trying"))
			require.Equal(t, ended, log.count("writes again"))
			require.InDelta(t, begun-ended, valueOf(t, registry, "tidemark_sink_outages"), 0)
		}
		ctx, cancel := context.WithCancel(t.Context())
		to := sink.New(ctx, s.write, sink.Retry(1, time.Millisecond))
		next := uint64(0)
		write := func() {
			to.In() <- batchOf(next, next+1, at("a", next, 1))
			next++
			<-time.After(100 * time.Millisecond)
		}
		const refused = 300
		for range refused {
			s.unreliable.Inject(mem.Fault{Op: mem.OpAppend})
			for range 20 {
				write()
			}
		}
		require.NoError(t, to.Err(), "there were never two in a row without effect")
		require.InDelta(t, refused, valueOf(t, registry, "tidemark_sink_retry_total"), 0)
		requireLines(1, 0)
		<-time.After(4 * time.Second) // nothing comes any more
		requireLines(1, 1)
		s.unreliable.Inject(mem.Fault{Op: mem.OpAppend})
		write()
		requireLines(2, 1)
		cancel()
		<-to.Done()
		requireLines(2, 2)
		require.Zero(t, log.count("gave up"), "it had not")
		close(to.In())
	})
}

// A sink that ends in the middle of an outage is in none any more.
func TestOutageEndsWithTheSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(lines)
		s := openStream(t.Context(), t, mem.NewRegistry(), "out", persist.Config{Logger: slog.New(slog.NewTextHandler(log, nil))})
		defer s.client.Stop()
		s.unreliable.SetDown()
		ctx, cancel := context.WithCancelCause(t.Context())
		enough := errors.New("enough")
		cancelled, limited := sink.New(ctx, s.write), sink.New(t.Context(), s.write, sink.Retry(2, time.Minute))
		cancelled.In() <- at("a", 0, 1)
		limited.In() <- at("a", 0, 1)
		began := time.Now()
		<-limited.Done()
		require.Equal(t, 2*time.Minute, time.Since(began), "the first wait is longer than the longest")
		require.ErrorIs(t, limited.Err(), mem.ErrUnavailable)
		cancel(enough)
		<-cancelled.Done()
		require.ErrorIs(t, cancelled.Err(), enough)
		close(cancelled.In())
		close(limited.In())
		require.Equal(t, 2, log.count("gave up trying to write"))
		s.unreliable.SetUp()
	})
}
