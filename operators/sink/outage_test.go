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
					value := func(name string) float64 {
						families, err := registry.Gather()
						require.NoError(t, err)
						for _, f := range families {
							if f.GetName() == name {
								return f.GetMetric()[0].GetGauge().GetValue() + f.GetMetric()[0].GetCounter().GetValue()
							}
						}
						return -1
					}
					heal := s.unreliable.Inject(mem.Fault{Op: mem.OpAppend, Sticky: true, Err: cause})
					to := sink.New(t.Context(), s.write)
					for _, e := range elements {
						to.In() <- e
					}
					<-time.After(time.Hour)
					synctest.Wait()
					require.NoError(t, to.Err())
					require.InDelta(t, 1, value("tidemark_sink_outages"), 0)
					require.Greater(t, value("tidemark_sink_retry_total"), 700.0)
					heal()
					healed := time.Now()
					feed(to)
					require.LessOrEqual(t, time.Since(healed), 5*time.Second)
					require.NoError(t, to.Err())
					require.Len(t, s.contents(), 2)
					require.InDelta(t, 0, value("tidemark_sink_outages"), 0)
					require.Equal(t, 1, log.count("a sink cannot write and keeps trying"))
					require.Equal(t, 1, log.count("writes again"))
				})
			})
		}
	}
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
