package indexed

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed/internal/part"
	"github.com/tidemark-go/tidemark/internal/kept"
	"github.com/tidemark-go/tidemark/storage"
)

// The meter is never more than a sample wrong, and never too high, whatever was
// truncated from it.
func TestLogMeterIsNearlyRight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type entry struct {
			seqno storage.SeqNo
			bytes int
		}
		var m logMeter
		var entries []entry
		var last, truncated storage.SeqNo
		largest := 0
		for range rapid.IntRange(0, 60).Draw(t, "entries") {
			last += storage.SeqNo(rapid.Uint64Range(1, 3).Draw(t, "gap"))
			size := rapid.OneOf(rapid.IntRange(1, 1000), rapid.IntRange(1, 3*logSampleBytes)).Draw(t, "bytes")
			largest = max(largest, size)
			m.add(last, int64(size))
			entries = append(entries, entry{last, size})
			if rapid.IntRange(0, 9).Draw(t, "truncate") == 0 {
				truncated = storage.SeqNo(rapid.Uint64Range(uint64(truncated), uint64(last)).Draw(t, "through"))
				m.truncate(truncated)
			}
			require.Equal(t, truncated, m.truncated)
			after := storage.SeqNo(rapid.Uint64Range(uint64(truncated), uint64(last)).Draw(t, "after"))
			want := 0
			for _, e := range entries {
				if e.seqno > after {
					want += e.bytes
				}
			}
			got := int(m.after(after))
			require.LessOrEqual(t, got, want+logSampleBytes)
			require.GreaterOrEqual(t, got, want-largest-logSampleBytes)
			require.LessOrEqual(t, len(m.samples), 2+int(m.after(truncated))/logSampleBytes)
		}
	})
}

// modelWindow runs a state with listeners against lists of what each has to hear. A
// listener that the window sends to the log must have missed something.
type modelWindow struct {
	st        *state
	streams   []*stream
	listeners []*windowListener
	seqno     storage.SeqNo
}

type windowListener struct {
	*Listener
	pending []storage.SeqNo
}

func TestEventWindowAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &modelWindow{st: newState(rapid.Int64Range(1, 2000).Draw(t, "limit"))}
		for i := range 3 {
			m.apply(t, op{kind: opRegister, stream: StreamID(i), registration: &registration{name: string(rune('a' + i))}})
			m.streams = append(m.streams, m.st.streams[StreamID(i)])
		}
		listener := func(t *rapid.T) *windowListener {
			if len(m.listeners) == 0 {
				t.Skip("none")
			}
			return m.listeners[rapid.IntRange(0, len(m.listeners)-1).Draw(t, "listener")]
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) { require.NoError(t, m.st.check()) },
			"write": func(t *rapid.T) {
				s := m.streams[rapid.IntRange(0, 2).Draw(t, "stream")]
				var b ColumnsBuilder
				require.NoError(t, b.Add(make([]byte, rapid.IntRange(0, 300).Draw(t, "size")), nil, 10, 1))
				ops := []op{{kind: opWrite, stream: s.id, cols: b.Finish()}}
				if rapid.Bool().Draw(t, "seal") {
					ops = append(ops, op{kind: opSeal, stream: s.id, frontier: frontier.At(1)})
				}
				m.apply(t, ops...)
				for _, l := range m.listeners {
					if l.stream == s {
						l.pending = append(l.pending, m.seqno)
					}
				}
			},
			"listen": func(t *rapid.T) {
				s := m.streams[rapid.IntRange(0, 2).Draw(t, "stream")]
				m.listeners = append(m.listeners, &windowListener{Listener: m.st.newListenerLocked(s, nil, nil)})
			},
			"hear": func(t *rapid.T) {
				l := listener(t)
				l.queue = nil
				readLog, err := l.take()
				require.NoError(t, err)
				switch {
				case readLog:
					require.NotEmpty(t, l.pending)
					// What the log would have given it.
					upTo := l.stream.windowAfter
					l.st.mu.Lock()
					l.advanceLocked(upTo)
					l.st.mu.Unlock()
					for len(l.pending) > 0 && l.pending[0] <= upTo {
						l.pending = l.pending[1:]
					}
				case len(l.pending) == 0:
					require.Empty(t, l.queue)
				default:
					require.NotEmpty(t, l.queue)
					for i, e := range l.queue {
						if i > 0 && e.SeqNo != l.queue[i-1].SeqNo {
							l.pending = l.pending[1:]
						}
						require.Equal(t, l.pending[0], e.SeqNo)
					}
					l.pending = l.pending[1:]
				}
			},
			"low water": func(t *rapid.T) {
				l := listener(t)
				cursor, low := l.cursor, l.lowWaterLocked()
				require.Equal(t, cursor, l.cursor, "asking, as a scrape does, moves nothing")
				l.passOthersLocked()
				require.Equal(t, low, l.lowWaterLocked())
				require.GreaterOrEqual(t, l.cursor, low, "the log may be truncated up to there")
				if len(l.pending) > 0 {
					require.Less(t, low, l.pending[0], "what it has to hear is kept")
				} else {
					require.Equal(t, m.seqno, low, "it holds back nothing")
				}
			},
			"close": func(t *rapid.T) {
				l := listener(t)
				require.NoError(t, l.Close())
				for i := range m.listeners {
					if m.listeners[i] == l {
						m.listeners = append(m.listeners[:i], m.listeners[i+1:]...)
						break
					}
				}
			},
		})
	})
}

func (m *modelWindow) apply(t *rapid.T, ops ...op) {
	m.seqno += storage.SeqNo(rapid.Uint64Range(1, 3).Draw(t, "gap"))
	require.NoError(t, m.st.applyLocked(m.seqno, ops, time.Time{}))
}

// A window of many small events that leave in any order stays small.
func TestEventWindowForgetsWhatHasLeft(t *testing.T) {
	st := newState(1 << 20)
	for i := range 2 {
		require.NoError(t, st.applyLocked(storage.SeqNo(i+1), []op{{kind: opRegister, stream: StreamID(i), registration: &registration{name: string(rune('a' + i))}}}, time.Time{}))
	}
	slow, fast := st.newListenerLocked(st.streams[0], nil, nil), st.newListenerLocked(st.streams[1], nil, nil)
	seal := func(seqno int, id StreamID) {
		require.NoError(t, st.applyLocked(storage.SeqNo(seqno), []op{{kind: opSeal, stream: id, frontier: frontier.At(uint64(seqno))}}, time.Time{}))
	}
	seal(3, 0)
	for i := range 10_000 {
		seal(4+i, 1)
		_, err := fast.take()
		require.NoError(t, err)
		require.Less(t, len(st.window.fifo), 100)
	}
	require.Equal(t, 1, st.window.held)
	require.NoError(t, slow.Close())
	require.Zero(t, st.window.used)
	require.NoError(t, st.check())
}

// A listener that is closed while it waits is not kept until the next event.
func TestClosedListenerIsForgotten(t *testing.T) {
	st := newState(1)
	require.NoError(t, st.applyLocked(1, []op{{kind: opRegister, registration: &registration{name: "a"}}}, time.Time{}))
	for range 3 {
		l := st.newListenerLocked(st.streams[0], nil, nil)
		readLog, err := l.take()
		require.NoError(t, err)
		require.False(t, readLog)
		require.Len(t, st.streams[0].waiting, 1)
		require.NoError(t, l.Close())
		require.Empty(t, st.streams[0].waiting)
	}
}

// Who keeps bytes of a small event keeps no command of megabytes with them, also if it came
// from the log. Large ones are not copied.
func TestSmallEventsAreNotInLargeMemory(t *testing.T) {
	st := newState(1 << 20)
	require.NoError(t, st.applyLocked(1, []op{{kind: opRegister, registration: &registration{name: "a"}}}, time.Time{}))
	s := st.streams[0]
	l := st.newListenerLocked(s, nil, nil)
	for i, size := range []int{10, kept.MaxBlock - part.RowOverhead, kept.MaxBlock} {
		var b ColumnsBuilder
		require.NoError(t, b.Add(make([]byte, size), nil, 10, 1))
		ops := []op{{kind: opWrite, cols: b.Finish()}}
		fromLog := eventOf(0, 1, ops)
		require.NoError(t, st.applyLocked(storage.SeqNo(i+2), ops, time.Time{}))
		_, err := l.take()
		require.NoError(t, err)
		ops[0].cols.Key(0)[0]++ // which nobody does
		large := ops[0].cols.Size() > kept.MaxBlock
		for _, cols := range [][]Columns{l.queue[0].Updates, fromLog.cols} {
			require.Equal(t, large, cols[0].Key(0)[0] != 0, size)
		}
		require.Zero(t, s.copies)
	}
}
