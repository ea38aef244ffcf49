package indexed

import (
	"sort"

	"github.com/tidemark-go/tidemark/storage"
)

// logMeter tells how many bytes of log are after a position, as the log stores them, to
// within 1 MiB. It takes a sample for each MiB appended.
type logMeter struct {
	truncated storage.SeqNo // everything up to here has been truncated
	total     int64         // bytes appended since the meter began
	samples   []logSample
}

type logSample struct {
	seqno storage.SeqNo
	total int64
}

const logSampleBytes = 1 << 20

func (m *logMeter) add(seqno storage.SeqNo, bytes int64) {
	m.total += bytes
	if n := len(m.samples); n == 0 || m.total-m.samples[n-1].total >= logSampleBytes {
		m.samples = append(m.samples, logSample{seqno, m.total})
	}
}

// read counts an entry that was read from the log. Which entries shared its append is not
// known, so it counts as an append of its own. That is never less than what is stored.
func (m *logMeter) read(entry storage.Entry, size logSize) {
	m.add(entry.SeqNo, size.stored(1, int64(len(entry.Data))))
}

// after returns the bytes after a position, to within one sample (1 MiB).
func (m *logMeter) after(seqno storage.SeqNo) int64 {
	i := sort.Search(len(m.samples), func(i int) bool { return m.samples[i].seqno > seqno })
	if i == 0 {
		return m.total - m.dropped()
	}
	return m.total - m.samples[i-1].total
}

// dropped returns the bytes before the first sample.
func (m *logMeter) dropped() int64 {
	if len(m.samples) == 0 {
		return 0
	}
	return m.samples[0].total
}

// cutLaggedLocked ends the listeners that hold back more of the log than they may. It
// returns the position up to which the other listeners do not need the log. m is the meter
// of what st has applied.
func (st *state) cutLaggedLocked(m *logMeter, cfg *Config) storage.SeqNo {
	keep := st.applied
	//museum:destroyed-stream
	for _, s := range st.names { // a destroyed stream may have listeners with events left
		for l := range s.listeners {
			l.passOthersLocked()
			low := l.lowWaterLocked()
			if lag := m.after(low); cfg.MaxListenerLag > 0 && low < st.applied && lag > cfg.MaxListenerLag {
				l.endLocked(streamErrorf(s.name, ErrLagged, "it holds back %d bytes of the log, Config.MaxListenerLag is %d: listen again", lag, cfg.MaxListenerLag))
				cfg.Logger.Warn("cut off a listener that lagged", "stream", s.shownName(), "lag_bytes", lag)
				continue
			}
			keep = min(keep, low)
		}
	}
	return keep
}

// truncate drops the samples before a position.
func (m *logMeter) truncate(through storage.SeqNo) {
	m.truncated = max(m.truncated, through)
	i := sort.Search(len(m.samples), func(i int) bool { return m.samples[i].seqno > through })
	if i > 1 {
		m.samples = append(m.samples[:0], m.samples[i-1:]...)
	}
}
