package indexed

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tidemark-go/tidemark/indexed/internal/part"
)

// metrics counts what a runtime does. Counters and histograms change where things happen.
// Gauges about the state are read from it when they are collected.
type metrics struct {
	st      func() *state // read by Collect
	queue   func() (depth int, bytes int64)
	cache   func() (bytes, entries int64)
	statics []prometheus.Collector

	cmdQueued, cmdRun, cmdFailed             prometheus.Counter
	cmdWrites, cmdWriteRecords, cmdWriteData prometheus.Counter
	applySeconds                             prometheus.Counter
	commitSeconds, commitGroup               prometheus.Histogram
	logBytes                                 prometheus.Counter

	rounds, roundErrors, roundSeconds           prometheus.Counter
	flushes                                     prometheus.Counter
	merges, mergeBytes                          prometheus.Counter
	mergeSeconds, mergeErrors                   prometheus.Counter
	staleResults                                prometheus.Counter
	blobWrites, blobWriteBytes, blobWriteTime   *prometheus.CounterVec // by kind
	blobDeletes, blobDeleteBytes, blobDeleteTim *prometheus.CounterVec // by kind
	blobWriteErrors                             *prometheus.CounterVec // by reason
	blobDeleteErrors                            prometheus.Counter
	reads                                       part.Metrics
	manifestBytes                               prometheus.Gauge
	listenerLogReads                            prometheus.Counter
	outages, logOutage                          prometheus.Gauge
	retries                                     prometheus.Counter
}

// The kinds of blobs.
const (
	kindUnsealed = "unsealed"
	kindTrace    = "trace"
	kindManifest = "manifest"
	kindOrphan   = "orphan" // for deletions only: a batch of an earlier opening, trace or unsealed
)

func newMetrics(st func() *state) *metrics {
	m := &metrics{st: st, queue: func() (int, int64) { return 0, 0 }, cache: func() (int64, int64) { return 0, 0 }}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "tidemark", Name: name, Help: help})
		m.statics = append(m.statics, c)
		return c
	}
	vec := func(name, help, label string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "tidemark", Name: name, Help: help}, []string{label})
		m.statics = append(m.statics, c)
		return c
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "tidemark", Name: name, Help: help, Buckets: buckets})
		m.statics = append(m.statics, h)
		return h
	}

	m.cmdQueued = counter("cmd_queued_total", "Requests that entered the queue: commands and reads.")
	m.cmdRun = counter("cmd_run_total", "Requests taken from the queue and decided.")
	m.cmdFailed = counter("cmd_failed_total", "Commands that failed because their append to the log failed.")
	m.cmdWrites = counter("cmd_write_total", "Commands with updates, refused ones included.")
	m.cmdWriteRecords = counter("cmd_write_record_total", "Updates made durable.")
	m.cmdWriteData = counter("cmd_write_record_bytes_total", "Bytes of updates made durable: keys, values, and 16 for time and diff.")
	m.applySeconds = counter("cmd_run_seconds_total", "Time spent applying commands, running reads, and answering both.")
	m.commitSeconds = histogram("commit_seconds", "Time to append and flush one group of commands.", prometheus.ExponentialBuckets(25e-6, 2, 18))
	m.commitGroup = histogram("commit_group_size", "Commands that shared one flush.", prometheus.ExponentialBuckets(1, 2, 13))
	m.logBytes = counter("log_append_bytes_total", "Bytes of log entries appended.")

	m.rounds = counter("step_total", "Rounds of maintenance.")
	m.roundErrors = counter("step_error_total", "Rounds of maintenance that ended with an error.")
	m.roundSeconds = counter("step_seconds_total", "Time spent in rounds of maintenance.")
	m.flushes = counter("flush_total", "Flushes: tails moved to batches, and small moves to the trace.")
	m.merges = counter("compaction_total", "Merges of batches, and large moves to the trace, that were applied.")
	m.mergeBytes = counter("compaction_bytes_total", "Bytes of blobs written by merges and large moves.")
	m.mergeSeconds = counter("compaction_seconds_total", "Time spent on merges and large moves.")
	m.mergeErrors = counter("compaction_error_total", "Merges and large moves that failed.")
	m.staleResults = counter("stale_result_total", "Results of background work dropped because the state had moved on.")
	m.blobWrites = vec("blob_write_total", "Blobs written.", "kind")
	m.blobWriteBytes = vec("blob_write_bytes_total", "Bytes of blobs written.", "kind")
	m.blobWriteTime = vec("blob_write_seconds_total", "Time spent writing blobs.", "kind")
	m.blobDeletes = vec("blob_delete_total", "Blobs deleted.", "kind")
	m.blobDeleteBytes = vec("blob_delete_bytes_total", "Bytes of blobs deleted.", "kind")
	m.blobDeleteTim = vec("blob_delete_seconds_total", "Time spent deleting blobs.", "kind")
	m.blobWriteErrors = vec("blob_write_error_total", "Failed blob writes: no space (quota), or another reason (other).", "reason")
	m.blobDeleteErrors = counter("blob_delete_error_total", "Failed attempts to delete a blob; they are repeated.")
	m.reads.ReadErrors = counter("blob_read_error_total", "Blob reads that failed.")
	m.reads.Hits = counter("blob_read_cache_hit_total", "Batch parts, and pieces of them, found in the cache.")
	m.reads.Misses = counter("blob_read_cache_miss_total", "Batch parts, and pieces of them, fetched from the blob store.")
	m.reads.FetchedBytes = counter("blob_read_cache_fetch_bytes_total", "Bytes fetched on misses. A part of an older version that is read by row groups counts twice: it is fetched to be checked, and to be decoded.")
	m.reads.Evictions = counter("blob_cache_eviction_total", "Batch parts, and pieces of them, evicted from the cache.")
	m.listenerLogReads = counter("listener_log_read_total", "Reads of the log by listeners that had fallen behind.")
	m.manifestBytes = prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "tidemark", Name: "manifest_size_bytes", Help: "Size of the newest full copy of the manifest and the edits after it."})
	m.statics = append(m.statics, m.manifestBytes)
	m.logOutage = prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "tidemark", Name: "log_outage", Help: "1 while the log takes no commands, else 0. The newest append had no effect, or no more commands are accepted until the location is opened again."})
	m.statics = append(m.statics, m.logOutage)
	m.outages = prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "tidemark", Name: "sink_outages", Help: "Sinks in an outage: the log has refused their commands without effect, and all commands have not taken effect for 5s yet."})
	m.statics = append(m.statics, m.outages)
	m.retries = counter("sink_retry_total", "Times a sink tried again after the log had refused its commands without effect.")
	return m
}

func (m *metrics) wroteBlob(kind string, size int, took time.Duration, err error) {
	switch {
	case err == nil:
		m.blobWrites.WithLabelValues(kind).Inc()
		m.blobWriteBytes.WithLabelValues(kind).Add(float64(size))
		m.blobWriteTime.WithLabelValues(kind).Add(took.Seconds())
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		m.blobWriteErrors.WithLabelValues("quota").Inc()
	default:
		m.blobWriteErrors.WithLabelValues("other").Inc()
	}
}

func (m *metrics) deletedBlob(kind string, size int64, took time.Duration) {
	m.blobDeletes.WithLabelValues(kind).Inc()
	m.blobDeleteBytes.WithLabelValues(kind).Add(float64(size))
	m.blobDeleteTim.WithLabelValues(kind).Add(took.Seconds())
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("tidemark_"+name, help, labels, nil)
}

var (
	descStreams       = desc("streams", "Live streams.")
	descUnsealedCount = desc("unsealed_batches", "Unsealed batches.")
	descUnsealedBytes = desc("unsealed_batch_bytes", "Bytes of the blobs of unsealed batches.")
	descTraceCount    = desc("trace_batches", "Trace batches.")
	descTraceBytes    = desc("trace_batch_bytes", "Bytes of the blobs of trace batches.")
	descTail          = desc("tail_bytes", "Bytes of encoded updates that are in the log and in no batch yet.")
	descQueueDepth    = desc("queue_depth", "Requests that wait in the queue: commands and reads.")
	descInFlight      = desc("in_flight_bytes", "Bytes of encoded updates that are queued or on their way to the log.")
	descUpper         = desc("stream_upper", "Upper of the stream; absent once it is finished.", "stream")
	descSince         = desc("stream_since", "Since of the stream; absent once it is empty.", "stream")
	descListeners     = desc("listeners", "Open listeners.", "stream")
	descLag           = desc("listener_lag", "Positions of the log from the slowest listener of the stream to the newest command; 0 if no listener has events left.", "stream")
	descWindow        = desc("listener_window_bytes", "Bytes of events kept in memory for listeners.")
	descPinned        = desc("pinned_blobs", "Blobs that only snapshots and work under way still use.")
	descGarbage       = desc("garbage_blobs", "Blobs that wait to be deleted.")
	descCacheBytes    = desc("blob_cache_bytes", "Bytes of decoded batch parts in the cache.")
	descCacheEntries  = desc("blob_cache_entries", "Batch parts, and pieces of them, in the cache.")
	descApplied       = desc("applied_seqno", "Position of the newest applied command.")
)

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range m.statics {
		c.Describe(ch)
	}
	for _, d := range []*prometheus.Desc{
		descStreams, descUnsealedCount, descUnsealedBytes, descTraceCount, descTraceBytes, descTail, descQueueDepth,
		descInFlight, descUpper, descSince, descListeners, descLag, descWindow, descPinned, descGarbage,
		descCacheBytes, descCacheEntries, descApplied,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	for _, c := range m.statics {
		c.Collect(ch)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		// A metric that cannot be made is left out. An error would fail the scrape of the whole process.
		if m, err := prometheus.NewConstMetric(d, prometheus.GaugeValue, v, labels...); err == nil {
			ch <- m
		}
	}
	depth, bytes := m.queue()
	gauge(descQueueDepth, float64(depth))
	gauge(descInFlight, float64(bytes))
	cacheBytes, cacheEntries := m.cache()
	gauge(descCacheBytes, float64(cacheBytes))
	gauge(descCacheEntries, float64(cacheEntries))
	for _, v := range m.st().collect() {
		gauge(v.desc, v.value, v.labels...)
	}
}

type stateGauge struct {
	desc   *prometheus.Desc
	value  float64
	labels []string
}

// collect reads the gauges about the state under its lock. Collect hands them out after
// that, so a slow scrape delays nobody.
func (st *state) collect() []stateGauge {
	st.mu.Lock()
	defer st.mu.Unlock()
	var unsealed, trace, unsealedBytes, traceBytes int64
	var out []stateGauge
	add := func(d *prometheus.Desc, v float64, labels ...string) { out = append(out, stateGauge{d, v, labels}) }
	for s := range st.sortedStreamsLocked() {
		//museum:name-in-a-scrape
		label := st.labelLocked(s)
		if t, ok := s.upper.Elem(); ok {
			add(descUpper, float64(t), label)
		}
		if t, ok := s.since.Elem(); ok {
			add(descSince, float64(t), label)
		}
		if len(s.listeners) > 0 {
			add(descListeners, float64(len(s.listeners)), label)
			low := st.applied
			for l := range s.listeners {
				low = min(low, l.lowWaterLocked())
			}
			add(descLag, float64(st.applied-low), label)
		}
		for _, b := range s.set.trace {
			trace++
			traceBytes += b.size()
		}
		for _, b := range s.set.unsealed {
			unsealed++
			unsealedBytes += b.size()
		}
	}
	add(descStreams, float64(len(st.streams)))
	add(descUnsealedCount, float64(unsealed))
	add(descUnsealedBytes, float64(unsealedBytes))
	add(descTraceCount, float64(trace))
	add(descTraceBytes, float64(traceBytes))
	add(descTail, float64(st.tailBytes))
	add(descWindow, float64(st.window.used))
	pinned := 0
	for b := range st.held {
		pinned += len(b.parts)
	}
	add(descPinned, float64(pinned))
	add(descGarbage, float64(st.trash.count()))
	add(descApplied, float64(st.applied))
	return out
}

// register registers the metrics, and returns a function that unregisters them.
func (m *metrics) register(r prometheus.Registerer) (unregister func(), err error) {
	if r == nil {
		return func() {}, nil
	}
	if err := r.Register(m); err != nil {
		return nil, fmt.Errorf("tidemark: register metrics: %w: wrap the registerer of a second runtime with prometheus.WrapRegistererWith", err)
	}
	return func() { r.Unregister(m) }, nil
}
