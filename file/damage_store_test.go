package file

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

// damageStore is a closed location with files of every kind, to be damaged: several
// segments and spares, a base and edits of the manifest, trace and unsealed parts of
// several streams, and commands that are in the log alone.
type damageStore struct {
	m     *memFS
	old   *memFS // the same location, some commands earlier
	deeds []deed // one for each entry of the log that there ever was
	want  map[string]string
	ids   map[string]string // the names of streams by the directory of their parts
}

// command executes a command and notes what it does.
func (s *damageStore) command(t *testing.T, d deed, f *persist.Future[storage.SeqNo]) {
	t.Helper()
	seqno, err := f.Wait(ctx0)
	require.NoError(t, err)
	s.deeds = append(s.deeds, d)
	require.EqualValues(t, len(s.deeds), seqno, "one entry for each command")
}

func (s *damageStore) create(t *testing.T, db *persist.Client, name string) *rowWriter {
	t.Helper()
	before := len(s.deeds)
	infos, err := db.Streams(ctx0)
	require.NoError(t, err)
	w, _, err := persist.CreateOrLoad(ctx0, db, name, codec.String, codec.Uint64)
	require.NoError(t, err)
	if !slices.ContainsFunc(infos, func(i persist.StreamInfo) bool { return i.Name == name }) {
		s.deeds = append(s.deeds, created(name))
	}
	require.LessOrEqual(t, len(s.deeds), before+1)
	return w
}

// bulk makes the manifest's edits outgrow its base, so that the next one is a base:
// with very many parts, of a stream that is gone afterwards.
func (s *damageStore) bulk(t *testing.T, name string) {
	cfg := quietConfig()
	cfg.PartBytes = 1
	db, err := startOwner(s.m, cfg)
	require.NoError(t, err)
	w := s.create(t, db, name)
	for round := range uint64(2) {
		updates := make([]rowUpdate, 400)
		for i := range updates {
			updates[i] = rowUpdate{Key: strconv.Itoa(i), Time: round, Diff: 1}
		}
		s.command(t, wrote(name, updates), w.Write(ctx0, updates))
		s.command(t, sealed(name, round+1), w.Seal(ctx0, round+1))
		require.NoError(t, db.Maintain(ctx0))
	}
	_, err = db.Destroy(ctx0, name)
	require.NoError(t, err)
	s.deeds = append(s.deeds, func(w world) { delete(w, name) })
	require.NoError(t, db.Maintain(ctx0))
	w = s.create(t, db, "s")
	at := s.upper("s")
	s.command(t, sealed("s", at+1), w.Seal(ctx0, at+1))
	require.NoError(t, db.Maintain(ctx0)) // the base
	require.NoError(t, db.Close())
}

func (s *damageStore) world() world {
	w := world{}
	together(s.deeds...)(w)
	return w
}

func (s *damageStore) upper(name string) uint64 {
	at, _ := s.world()[name].upperTime()
	return at
}

// rounds writes to all streams, with a base and some edits, and leaves the last
// commands to the log.
func (s *damageStore) rounds(t *testing.T, n int) {
	for round := range n {
		db, err := startOwner(s.m, quietConfig())
		require.NoError(t, err)
		for i, name := range []string{"s", "other", "third"} {
			w := s.create(t, db, name)
			at := s.upper(name)
			updates := []rowUpdate{
				{Key: fmt.Sprint("key ", round), Val: uint64(i), Time: at, Diff: 1},
				{Key: "later", Val: at, Time: at + 100, Diff: -1},
			}
			s.command(t, wrote(name, updates), w.Write(ctx0, updates))
			if name != "third" {
				s.command(t, sealed(name, at+1), w.Seal(ctx0, at+1))
			}
			if name == "other" && at > 1 {
				s.command(t, compacted(name, at-1), w.AllowCompaction(ctx0, frontier.At(at-1)))
			}
		}
		if round < n-1 {
			require.NoError(t, db.Maintain(ctx0))
		} else { // what the last round wrote is in the log alone, in several segments
			w := s.create(t, db, "s")
			for i := range uint64(4) {
				updates := []rowUpdate{{Key: strings.Repeat(strconv.Itoa(int(i)), 3000), Time: s.upper("s"), Diff: 1}}
				s.command(t, wrote("s", updates), w.Write(ctx0, updates))
			}
			s.command(t, sealed("s", s.upper("s")+1), w.Seal(ctx0, s.upper("s")+1))
		}
		require.NoError(t, db.Close())
	}
}

var (
	theDamageStore *damageStore
	makeStore      sync.Once
)

// sharedDamageStore returns the one that all tests of damage start from. It is never
// changed.
func sharedDamageStore(t *testing.T) *damageStore {
	t.Helper()
	makeStore.Do(func() { theDamageStore = newDamageStore(t) })
	require.NotNil(t, theDamageStore, "it could not be made")
	return theDamageStore
}

func newDamageStore(t *testing.T) *damageStore {
	t.Helper()
	s := &damageStore{m: newMemFS()}
	s.bulk(t, "bulk one")
	s.rounds(t, 2)
	s.old = s.m.clone()
	s.bulk(t, "bulk two")
	s.rounds(t, 3)
	s.m, s.old = s.m.crash(nil, 1), s.old.crash(nil, 1) // all on disk, so that clones are cheap
	db, err := startOwner(s.m.clone(), quietConfig())
	require.NoError(t, err)
	infos, err := db.Streams(ctx0)
	require.NoError(t, err)
	s.ids = map[string]string{}
	for _, i := range infos {
		s.ids[fmt.Sprintf("batch%%2f%d%%2f", i.ID)] = i.Name
	}
	require.NoError(t, db.Close())
	s.want = s.after(len(s.deeds))
	got, err := s.read(s.m)
	require.NoError(t, err)
	require.Equal(t, s.want, got)
	return s
}

// after is what the location holds after the first n commands.
func (s *damageStore) after(n int) map[string]string {
	w := world{}
	together(s.deeds[:n]...)(w)
	texts := map[string]string{}
	for name, m := range w {
		texts[name] = streamText(name, m.upper, m.since, m.updates)
	}
	return texts
}

// files returns the names of the files, without those that hold nothing of the
// location's contents.
func (s *damageStore) files() []string {
	var names []string
	for name, n := range s.m.names {
		if !n.dir && filepath.Base(name) != lockName {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// segments returns the names of the segments, oldest first.
func (s *damageStore) segments() []string {
	return slices.DeleteFunc(s.files(), func(name string) bool {
		_, ok := segmentIndex(filepath.Base(name))
		return !ok
	})
}

// readError is what could not be read of single streams; the others could be.
type readError map[string]error

func (e readError) Error() string { return fmt.Sprint(map[string]error(e)) }

func (e readError) Unwrap() []error { return slices.Collect(maps.Values(e)) }

// streamsOf reads all streams, each for itself.
func streamsOf(c readers, load func(string) (*rowReader, error)) (map[string]string, error) {
	infos, err := c.Streams(ctx0)
	if err != nil {
		return nil, err
	}
	texts, failed := map[string]string{}, readError{}
	for _, info := range infos {
		text, err := streamOf(ctx0, info.Name, load)
		if err != nil {
			failed[info.Name] = err
			continue
		}
		texts[info.Name] = text
	}
	if len(failed) > 0 {
		return texts, failed
	}
	return texts, nil
}

// read reads a location as a follower.
func (s *damageStore) read(m *memFS) (map[string]string, error) {
	c, err := startFollower(m, quietConfig())
	if err != nil {
		return nil, err
	}
	texts, err := streamsOf(c, loadFrom(ctx0, c))
	return texts, errors.Join(err, c.Close())
}

// own reads a location as its owner. opened is false if it was refused.
func (s *damageStore) own(m *memFS, maintain bool) (texts map[string]string, opened bool, err error) {
	c, err := startOwner(m, quietConfig())
	if err != nil {
		return nil, false, err
	}
	texts, err = streamsOf(c, createIn(context.Background(), c))
	if maintain {
		// It may fail, where it meets the damage. What it does not: change what is read.
		_ = c.Maintain(ctx0)
		again, errAgain := streamsOf(c, createIn(ctx0, c))
		if err == nil && (errAgain != nil || !maps.Equal(texts, again)) {
			err = fmt.Errorf("after maintenance: %v, %w", again, errAgain)
		}
	}
	return texts, true, errors.Join(err, c.Close())
}

// damage is one way in which a location was damaged.
type damage struct {
	what  string
	file  string          // that has changed
	from  int64           // the first byte of it that has, or -1
	more  int             // how many bytes behind it may have
	apply func(m *memFS)  // on a clone
	lost  map[string]bool // files that are not what they were, if more than file
}

// verdict is what became of a damaged location.
type verdict string

const (
	harmless verdict = "harmless"
	located  verdict = "located"
	shorter  verdict = "the last commands lost, as if they were torn"
)

// judge opens a damaged location as follower and as owner and holds what they make of
// it against what is allowed: the same contents; or an error that says where; or, at
// the very end of the log alone, what there was before the last commands.
func (s *damageStore) judge(t *testing.T, d damage, maintain bool) (v verdict) {
	t.Helper()
	m := s.m.clone()
	d.apply(m)
	damaged := m.clone()
	grew := func() int64 {
		before := allocated()
		got, err := s.read(m)
		spent := allocated() - before
		v = s.verdict(t, d, "follower", got, err)
		return spent
	}
	s.requireBounded(t, d, grew)
	requireSameFiles(t, damaged, m, "a follower changed %s", d.what)

	s.requireBounded(t, d, func() int64 {
		m = damaged.clone()
		before := allocated()
		got, opened, err := s.own(m, maintain)
		spent := allocated() - before
		if o := s.verdict(t, d, "owner", got, err); o != harmless {
			v = o
		}
		if !opened && !s.tornAsWell(d) {
			requireSameFiles(t, damaged, m, "a refused open changed %s", d.what)
		}
		return spent
	})
	if maintain { // once more, of what the owner has made of it
		got, _, err := s.own(m, false)
		s.verdict(t, d, "second owner", got, err)
	}
	return v
}

// tornAsWell reports whether two files are damaged, of which one is the newest
// segment, at its end: that is cut, and kept aside, before the other is read.
func (s *damageStore) tornAsWell(d damage) bool {
	segments := s.segments()
	last := segments[len(segments)-1]
	return len(d.lost) > 0 && (d.file == last || d.lost[last])
}

func (s *damageStore) verdict(t *testing.T, d damage, who string, got map[string]string, err error) verdict {
	t.Helper()
	if err != nil {
		s.requireLocated(t, d, who, err)
		s.requireOthers(t, d, who, got, err)
		return located
	}
	if maps.Equal(got, s.want) {
		return harmless
	}
	s.requireLostTail(t, d, who, got)
	return shorter
}

// requireLocated requires that an error is about damage, or a later format, and names
// the file, and the place in it where it is not the whole that is concerned.
func (s *damageStore) requireLocated(t *testing.T, d damage, who string, err error) {
	t.Helper()
	where := d.what + ", " + who
	if errors.Is(err, ErrNewerFormat) {
		require.Contains(t, err.Error(), nameInErrors(d.file), where)
		return
	}
	var corrupt *storage.CorruptError
	require.ErrorAs(t, err, &corrupt, "%s: %v", where, err)
	names := []string{nameInErrors(d.file)}
	for name := range d.lost {
		names = append(names, nameInErrors(name))
	}
	if d.from < 0 {
		// A whole file is missing or an older one. Where that was a part of the manifest, or
		// the beginning of the log, what shows is that they do not go together.
		names = append(names, "in log: it begins after position")
		if strings.Contains(d.file, "manifest") {
			names = append(names, "this edit of the manifest is missing", "the manifest names this blob, but it is gone")
		}
	}
	require.True(t, slices.ContainsFunc(names, func(n string) bool { return strings.Contains(err.Error(), n) }), "%s: names none of %v: %v", where, names, err)
	if _, segment := segmentIndex(filepath.Base(d.file)); segment && d.from >= 0 && corrupt.Where == d.file {
		require.GreaterOrEqual(t, corrupt.Offset, int64(0), where)
		// The first bytes that have changed may have no meaning.
		require.LessOrEqual(t, corrupt.Offset, d.from+int64(d.more), "%s: %v", where, err)
	}
}

// nameInErrors is what an error must contain to name a file: that of a segment, or
// the key of a blob.
func nameInErrors(name string) string {
	if strings.HasPrefix(name, "/db/blob/data/") {
		if key, ok := blobKey(strings.TrimPrefix(name, "/db/blob/data/")); ok {
			return key
		}
	}
	return filepath.Base(name)
}

// requireOthers requires that streams can be read as far as the damage is in the
// parts of another one.
func (s *damageStore) requireOthers(t *testing.T, d damage, who string, got map[string]string, err error) {
	t.Helper()
	base := filepath.Base(d.file)
	for prefix, name := range s.ids {
		if !strings.HasPrefix(base, prefix) || len(d.lost) > 0 {
			continue
		}
		want := maps.Clone(s.want)
		delete(want, name)
		require.Equal(t, want, got, "%s, %s: only %q is damaged: %v", d.what, who, name, err)
	}
}

// requireLostTail allows for the one loss that one disk cannot show: the last groups
// of the log, together with the mark behind them, are not what they were, so that
// they look like an append that was never acknowledged. What there was before them
// is there.
func (s *damageStore) requireLostTail(t *testing.T, d damage, who string, got map[string]string) {
	t.Helper()
	where := fmt.Sprintf("%s, %s: other contents", d.what, who)
	segments := s.segments()
	last := segments[len(segments)-1]
	require.Equal(t, last, d.file, "%s: %v", where, got)
	frames := groups(t, s.m, s.lastIndex())
	end := frames[len(frames)-1].off
	m := s.m.clone()
	d.apply(m)
	require.NotEqual(t, s.m.contents(last)[end:][:markSize], m.file(last)[end:][:markSize], "%s although the mark is there", where)
	whole := frames[0] // behind the last group that is what it was
	for i := 1; i < len(frames) && slices.Equal(s.m.contents(last)[frames[i-1].off:frames[i].off], m.file(last)[frames[i-1].off:frames[i].off]); i++ {
		whole = frames[i]
	}
	// A follower does not know that the last whole group was flushed: the mark said so.
	less := whole
	for _, f := range frames {
		if who == "follower" && f.off < whole.off {
			less = f
		}
	}
	require.True(t, maps.Equal(s.after(int(whole.next)-1), got) || maps.Equal(s.after(int(less.next)-1), got), where)
}

func (s *damageStore) lastIndex() uint64 {
	segments := s.segments()
	index, _ := segmentIndex(filepath.Base(segments[len(segments)-1]))
	return index
}

// requireSameFiles compares all files but LOCK, which says who came last.
func requireSameFiles(t *testing.T, want, got *memFS, format string, args ...any) {
	t.Helper()
	for name, n := range want.names {
		if filepath.Base(name) == lockName {
			continue
		}
		require.NotNil(t, got.names[name], name+" is gone: "+format, args)
		if !slices.Equal(n.data, got.names[name].data) {
			require.Fail(t, fmt.Sprintf(name+": "+format, args...))
		}
	}
}

// maxDamageAlloc is what opening and reading a damaged location may allocate, in
// bytes.
const maxDamageAlloc = 64 << 20

// requireBounded requires that something allocates little. Others allocate
// meanwhile, so it is repeated before it counts.
func (s *damageStore) requireBounded(t *testing.T, d damage, spend func() int64) {
	t.Helper()
	for range 4 {
		if spend() < maxDamageAlloc {
			return
		}
	}
	require.Fail(t, "allocates too much", d.what)
}

// allocated is how many bytes the program has allocated since it began.
func allocated() int64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}
