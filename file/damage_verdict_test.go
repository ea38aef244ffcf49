package file

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/storage"
)

// damage is one way in which a location was damaged.
type damage struct {
	what  string
	file  string             // that has changed
	from  int64              // the first byte of it that has, or -1
	more  int                // how many bytes behind it may have
	apply func(m *disk.Disk) // on a clone
	lost  map[string]bool    // files that are not what they were, if more than file
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
	m := s.m.Clone()
	d.apply(m)
	damaged := m.Clone()
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
		m = damaged.Clone()
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
	m := s.m.Clone()
	d.apply(m)
	require.NotEqual(t, s.m.Contents(last)[end:][:markSize], m.Edit(last)[end:][:markSize], "%s although the mark is there", where)
	whole := frames[0] // behind the last group that is what it was
	for i := 1; i < len(frames) && slices.Equal(s.m.Contents(last)[frames[i-1].off:frames[i].off], m.Edit(last)[frames[i-1].off:frames[i].off]); i++ {
		whole = frames[i]
	}
	// A follower does not know that the last whole group was flushed: the mark said so.
	less := whole
	for _, f := range frames {
		if who == "follower" && f.off < whole.off {
			less = f
		}
	}
	require.True(t, maps.Equal(s.before(whole.next), got) || maps.Equal(s.before(less.next), got), where)
}

// requireSameFiles compares all files but LOCK, which says who came last.
func requireSameFiles(t *testing.T, want, got *disk.Disk, format string, args ...any) {
	t.Helper()
	before, after := want.Everything(), got.Everything()
	names := maps.Clone(before)
	maps.Copy(names, after)
	for name := range names {
		was, wasThere := before[name]
		is, isThere := after[name]
		what := ""
		switch {
		case filepath.Base(name) == lockName:
		case !wasThere:
			what = "is new"
		case !isThere:
			what = "is gone"
		case was != is:
			what = "has changed"
		}
		if what != "" {
			require.Fail(t, fmt.Sprintf("%s %s: %s", name, what, fmt.Sprintf(format, args...)))
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
