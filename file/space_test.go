package file_test

import (
	"encoding/hex"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/internal/proof"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// overwritten is a table of keys in one stream whose values are replaced again and
// again, the since right behind.
type overwritten struct {
	t      *testing.T
	dir    string
	cfg    persist.Config
	client *persist.Client
	write  *persist.WriteHandle[string, string]
	rng    *rand.Rand
	now    uint64
	table  map[string]string
}

// logSegment is the size of all segments in this test, so that what the log has
// allocated ahead of need is a constant.
const logSegment = 64 << 10

func newOverwritten(t *testing.T, dir string, seed uint64) *overwritten {
	o := &overwritten{t: t, dir: dir, rng: rand.New(rand.NewPCG(seed, 0)), table: map[string]string{}}
	o.cfg = persist.Config{FlushInterval: -1, PartBytes: 32 << 10, MaxLogBytes: 4 * logSegment}
	var err error
	o.client, err = file.Open(t.Context(), dir, o.cfg, file.SegmentSize(logSegment, logSegment))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, o.client.Stop()) })
	o.write, _, err = persist.CreateOrLoad(t.Context(), o.client, "table", codec.String, codec.String)
	require.NoError(t, err)
	return o
}

// set gives new values to keys, at a time of its own, and lets go of the history.
func (o *overwritten) set(keys ...string) {
	var updates []persist.Update[string, string]
	for _, key := range keys {
		if old, ok := o.table[key]; ok {
			updates = append(updates, persist.Update[string, string]{Key: key, Val: old, Time: o.now, Diff: -1})
		}
		o.table[key] = o.value()
		updates = append(updates, persist.Update[string, string]{Key: key, Val: o.table[key], Time: o.now, Diff: 1})
	}
	o.put(updates)
}

func (o *overwritten) put(updates []persist.Update[string, string]) {
	ctx := o.t.Context()
	// A command is in one segment, and that grows with it: so none is larger than one.
	for some := range slices.Chunk(updates, 400) {
		_, err := o.write.Write(ctx, some).Wait(ctx)
		require.NoError(o.t, err)
	}
	o.write.Seal(ctx, o.now+1)
	_, err := o.write.AllowCompaction(ctx, frontier.At(o.now)).Wait(ctx)
	require.NoError(o.t, err)
	o.now++
	require.NoError(o.t, o.client.Maintain(ctx))
}

// value returns text that does not compress to less than half.
func (o *overwritten) value() string {
	b := make([]byte, 32)
	for i := range b {
		b[i] = byte(o.rng.Uint32())
	}
	return hex.EncodeToString(b)
}

// used is what the files of a location take, in bytes, by what they are for.
type used struct{ batches, manifest, log int64 }

func (o *overwritten) used() (u used) {
	require.NoError(o.t, filepath.WalkDir(o.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		switch {
		case err != nil:
			return err
		case filepath.Base(filepath.Dir(name)) == "log":
			u.log += info.Size()
		case strings.HasPrefix(d.Name(), "manifest"):
			u.manifest += info.Size()
		default:
			u.batches += info.Size()
		}
		return nil
	}))
	return u
}

// live returns what the same contents take in a new store, which never had others.
func (o *overwritten) live() int64 {
	fresh := newOverwritten(o.t, o.t.TempDir(), 0)
	var updates []persist.Update[string, string]
	for key, val := range o.table {
		updates = append(updates, persist.Update[string, string]{Key: key, Val: val, Diff: 1})
	}
	fresh.put(updates)
	return fresh.used().batches
}

// TestSpaceSteadyState overwrites a table again and again, in several ways. After
// every round of compaction its batches take at most twice what the same contents
// take in a store that never had others, all files of both counted in full, LOCK and
// what is being deleted included. The manifest and the log are bounded by themselves,
// whatever is in the table: the log by Config.MaxLogBytes, by the segment that is
// written to and one that is cut off only as a whole, and by the two spare files that
// are ready to become segments.
func TestSpaceSteadyState(t *testing.T) {
	keys, shares, rounds := proof.Pick(512, 2_000, 20_000), proof.Pick(8, 32, 32), proof.Pick(8, 48, 320)
	names := make([]string, keys)
	for i := range names {
		names[i] = fmt.Sprintf("%08d", i)
	}
	share := func(i int) []string { n := keys / shares; return names[i%shares*n : (i%shares+1)*n] }
	for name, next := range map[string]func(o *overwritten, round int) []string{
		"all":               func(*overwritten, int) []string { return names },
		"one after another": func(_ *overwritten, round int) []string { return share(round) },
		"a few":             func(*overwritten, int) []string { return share(3) },
		"at random": func(o *overwritten, _ int) (some []string) {
			for _, i := range o.rng.Perm(keys)[:keys/shares] {
				some = append(some, names[i])
			}
			return some
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOverwritten(t, t.TempDir(), proof.Seed(t))
			for i := range shares { // so that what is overwritten has grown level by level
				o.set(share(i)...)
			}
			live := o.live()
			var most used
			rounds := rounds
			if name == "all" {
				rounds /= shares / 4 // each is as much as so many of the others
			}
			for round := range rounds {
				o.set(next(o, round)...)
				now := o.used()
				most = used{max(most.batches, now.batches), max(most.manifest, now.manifest), max(most.log, now.log)}
				require.LessOrEqual(t, now.batches, 2*live, "round %d", round)
				require.LessOrEqual(t, now.manifest, int64(256<<10), "round %d", round)
				require.LessOrEqual(t, now.log, o.cfg.MaxLogBytes+4*logSegment+1<<10, "round %d", round)
			}
			t.Logf("%d bytes live; most that there were: %+v", live, most)
			proof.Reached(t, 20, "percent of the live data on disk at most, "+name, 100*most.batches/live)
		})
	}
}
