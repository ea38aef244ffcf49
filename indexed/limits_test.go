package indexed_test

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// framedLog stores each append in a frame of 40 bytes and each entry behind its length,
// as package file does, and takes a limited number of bytes at a time.
type framedLog struct {
	storage.Log
	most    int64
	stored  atomic.Int64 // since the last truncation
	peak    atomic.Int64
	refused atomic.Int64 // appends that were too large
}

func framed(entries int, bytes int64) int64 { return 40 + 4*int64(entries) + bytes }

func (l *framedLog) Append(ctx context.Context, expected storage.SeqNo, entries [][]byte) ([]storage.SeqNo, error) {
	var bytes int64
	for _, e := range entries {
		bytes += int64(len(e))
	}
	size := framed(len(entries), bytes)
	if size > l.most {
		l.refused.Add(1)
		return nil, fmt.Errorf("append of %d bytes, the limit is %d: %w", size, l.most, storage.ErrTooLarge)
	}
	positions, err := l.Log.Append(ctx, expected, entries)
	if err == nil {
		l.peak.Store(max(l.peak.Load(), l.stored.Add(size)))
	}
	return positions, err
}

func (l *framedLog) Truncate(ctx context.Context, through storage.SeqNo) error {
	err := l.Log.Truncate(ctx, through)
	if bounds, _ := l.Bounds(ctx); err == nil && bounds.After == bounds.Last {
		l.stored.Store(0)
	}
	return err
}

// telling is a framedLog that says what it takes.
type telling struct{ *framedLog }

func (l telling) MaxAppend() int64                           { return l.most }
func (l telling) StoredBytes(entries int, bytes int64) int64 { return framed(entries, bytes) }

// What is counted against MaxLogBytes is what the log stores: a seal has five bytes, and
// fifty with its frame. So it is after the log was read again.
func TestLogBytesAreStoredBytes(t *testing.T) {
	const limit = 16 << 10
	for name, small := range map[string]func(f *fixture, id indexed.StreamID, i uint64){
		"seals":       func(f *fixture, id indexed.StreamID, i uint64) { f.seal(id, frontier.At(i)) },
		"compactions": func(f *fixture, id indexed.StreamID, i uint64) { f.allow(id, frontier.At(i)) },
		"rows":        func(f *fixture, id indexed.StreamID, i uint64) { f.write(id, up("", i)) },
	} {
		for _, reopened := range []bool{false, true} {
			t.Run(fmt.Sprint(name, reopened), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					cfg := indexed.Config{MinStepInterval: time.Millisecond, FlushInterval: -1, MaxLogBytes: limit}
					f := newFixture(t, still())
					id := f.register("s")
					if reopened { // what was written before counts as well
						for i := range uint64(limit / 50) {
							small(f, id, i+1)
						}
					}
					require.NoError(t, f.Stop())
					log, blob := f.storage()
					framed := &framedLog{Log: log, most: math.MaxInt64}
					var err error
					f.Engine, err = indexed.Open(f.ctx, telling{framed}, blob, cfg)
					require.NoError(t, err)
					n := uint64(4 * limit / 50)
					if reopened {
						n = limit / 50 / 2 // with what was there it is too much, alone it is not
					}
					for i := range n {
						small(f, id, i+limit)
						synctest.Wait()
						<-time.After(time.Millisecond) // of the bubble
					}
					synctest.Wait()
					require.Less(t, framed.peak.Load(), int64(limit+limit/8))
					bounds, err := f.LogBounds(f.ctx)
					require.NoError(t, err)
					require.Positive(t, bounds.After, "nothing was truncated")
				})
			})
		}
	}
}

// A group is never more than the log takes, also if the log does not say so before; and
// a command that is more by itself is refused alone.
func TestGroupsFitTheLog(t *testing.T) {
	const most = 2000
	for name, wrap := range map[string]func(*framedLog) storage.Log{
		"telling": func(l *framedLog) storage.Log { return telling{l} },
		"silent":  func(l *framedLog) storage.Log { return struct{ storage.Log }{l} },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, still())
			id := f.register("s")
			require.NoError(t, f.Stop())
			log, blob := f.storage()
			framed := &framedLog{Log: log, most: most}
			cfg := still()
			cfg.MaxGroupBytes = 1 << 29
			var err error
			f.Engine, err = indexed.OpenStill(f.ctx, wrap(framed), blob, cfg)
			require.NoError(t, err)

			gate := f.faults.GateBefore(mem.OpAppend)
			var futures []*indexed.Future[storage.SeqNo]
			submit := func(build func(c *indexed.Command)) {
				var c indexed.Command
				build(&c)
				futures = append(futures, f.Submit(f.ctx, &c))
			}
			submit(func(c *indexed.Command) { c.Write(id, columns(up("first", 0))) })
			require.NoError(t, gate.Wait(f.ctx, 1)) // it holds up the log
			rows := 1
			large := map[int]bool{}
			for i := range 200 {
				switch {
				case i%50 == 17:
					large[len(futures)] = true
					submit(func(c *indexed.Command) { c.Write(id, columns(up(strings.Repeat("x", most), uint64(i)))) })
				case i == 100:
					submit(func(c *indexed.Command) { c.Seal(id, frontier.At(100)) })
				case i == 101:
					submit(func(c *indexed.Command) { c.ExpectUpper(id, frontier.At(100)) })
				default:
					rows++
					submit(func(c *indexed.Command) { c.Write(id, columns(up(strings.Repeat("x", 10*(i%20)), uint64(i)))) })
				}
			}
			gate.Open()
			last := storage.SeqNo(0)
			for i, future := range futures {
				seqno, err := future.Wait(f.ctx)
				if large[i] {
					require.ErrorIs(t, err, indexed.ErrTooLarge)
					require.ErrorIs(t, err, storage.ErrTooLarge)
					require.ErrorContains(t, err, "2000")
					require.ErrorContains(t, err, `stream "s"`)
					require.ErrorContains(t, err, `of key "k" at time`)
					continue
				}
				require.NoError(t, err, "command %d", i)
				require.GreaterOrEqual(t, seqno, last, "in order")
				last = seqno
			}
			require.Len(t, f.read(id), rows)
			if name == "telling" {
				require.Zero(t, framed.refused.Load())
			}
			require.NoError(t, f.CheckIdle())
		})
	}
}

// Every field of a Config has a range, of which the error tells.
func TestConfigRanges(t *testing.T) {
	ranges := map[string]bool{}
	for _, n := range indexed.ConfigNumbers() {
		ranges[n.Name] = true
		set := func(v int64) (cfg indexed.Config) {
			reflect.ValueOf(&cfg).Elem().FieldByName(n.Name).SetInt(v)
			return cfg
		}
		wrong := []int64{n.Most + 1, math.MaxInt64, math.MaxInt64 / 2, 1 << 62}
		right := []int64{0, 1, n.Most}
		if n.Negative {
			right = append(right, -1, math.MinInt64)
		} else {
			wrong = append(wrong, -1, math.MinInt64)
		}
		for _, v := range wrong {
			if reflect.ValueOf(set(v)).FieldByName(n.Name).Int() != v {
				continue // it does not fit the field
			}
			_, err := mem.NewRegistry().Runtime(t.Context(), persist.Config(set(v)))
			require.ErrorIs(t, err, indexed.ErrInvalid, "%s = %d", n.Name, v)
			require.ErrorContains(t, err, fmt.Sprintf("Config.%s is %d: ", n.Name, v))
			require.ErrorContains(t, err, fmt.Sprintf("to %d, or 0 for its default", n.Most))
			_, err = mem.NewRegistry().ReadRuntime(t.Context(), persist.Config(set(v)))
			require.ErrorIs(t, err, indexed.ErrInvalid, "%s = %d", n.Name, v)
		}
		for _, v := range right {
			c, err := mem.NewRegistry().Runtime(t.Context(), persist.Config(set(v)))
			require.NoError(t, err, "%s = %d", n.Name, v)
			require.NoError(t, c.Stop())
		}
	}
	others := map[string]bool{"Registerer": true, "Logger": true}
	for field := range reflect.TypeFor[indexed.Config]().Fields() {
		require.NotEqual(t, ranges[field.Name], others[field.Name], "Config.%s has no range: give it one in Config.numbers", field.Name)
	}
}

// With all numbers at their ends at once nothing wraps and nothing panics.
func TestConfigExtremes(t *testing.T) {
	for _, least := range []bool{true, false} {
		var cfg indexed.Config
		for _, n := range indexed.ConfigNumbers() {
			v := n.Most
			if least {
				v = 1
			}
			reflect.ValueOf(&cfg).Elem().FieldByName(n.Name).SetInt(v)
		}
		if least {
			cfg.MaxTailBytes, cfg.FollowInterval = 100, time.Millisecond // or nothing can be written, and nothing else be done
		}
		require.Positive(t, indexed.LongestBackoff(cfg))
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t, cfg)
			id := f.register("s")
			f.write(id, up("a", 1))
			f.seal(id, frontier.At(2))
			require.NoError(t, f.Maintain(f.ctx))
			require.Equal(t, []string{"k=a @1 +1"}, show(f.read(id)))
		})
	}
}
