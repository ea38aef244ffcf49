package file

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/internal/proof"
)

const page = 4096

// pageOf returns a page of a file, to be changed in place. The last one may be short.
func pageOf(data []byte, i int) []byte { return data[i*page : min(len(data), (i+1)*page)] }

func pages(data []byte) int { return (len(data) + page - 1) / page }

// firstChange is where two versions of a file differ first, or -1 if they do not.
func firstChange(a, b []byte) int64 {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return int64(i)
		}
	}
	if len(a) == len(b) {
		return -1
	}
	return int64(min(len(a), len(b)))
}

// pageDamages are all pages zeroed, exchanged with others, and as they once were.
func (s *damageStore) pageDamages() (all []damage) {
	add := func(what, name string, apply func(m *disk.Disk), lost ...string) {
		d := damage{what: what, file: name, more: page - 1, apply: apply, lost: map[string]bool{}}
		for _, other := range lost {
			d.lost[other] = true
		}
		m := s.m.Clone()
		apply(m)
		if d.from = firstChange(s.m.Contents(name), m.Edit(name)); d.from < 0 && len(lost) == 0 {
			return
		}
		all = append(all, d)
	}
	type place struct {
		name string
		i    int
	}
	var places []place
	for _, name := range s.files() {
		for i := range pages(s.m.Contents(name)) {
			places = append(places, place{name, i})
		}
	}
	for n, p := range places {
		what := fmt.Sprintf("page %d of %s", p.i, p.name)
		add(what+" zeroed", p.name, func(m *disk.Disk) { clear(pageOf(m.Edit(p.name), p.i)) })
		if s.old.Has(p.name) && p.i < pages(s.old.Contents(p.name)) {
			add(what+" from an older version", p.name, func(m *disk.Disk) {
				copy(pageOf(m.Edit(p.name), p.i), pageOf(s.old.Contents(p.name), p.i))
			})
		}
		for _, q := range places[n+1:] {
			a, b := pageOf(s.m.Contents(p.name), p.i), pageOf(s.m.Contents(q.name), q.i)
			if slices.Equal(a, b) {
				continue
			}
			var lost []string
			if q.name != p.name {
				lost = append(lost, q.name)
			}
			add(fmt.Sprintf("%s exchanged with page %d of %s", what, q.i, q.name), p.name, func(m *disk.Disk) {
				copy(pageOf(m.Edit(p.name), p.i), b)
				copy(pageOf(m.Edit(q.name), q.i), a)
			}, lost...)
		}
	}
	return all
}

// fileDamages are all files missing, as they once were, or there under a name that
// could be the next one's.
func (s *damageStore) fileDamages() (all []damage) {
	for _, name := range s.files() {
		all = append(all, damage{what: name + " missing", file: name, from: -1, apply: func(m *disk.Disk) { m.Lose(name) }})
		if s.old.Has(name) && firstChange(s.old.Contents(name), s.m.Contents(name)) >= 0 {
			all = append(all, damage{
				what: name + " as it once was", file: name, from: -1,
				apply: func(m *disk.Disk) { m.Put(name, s.old.Contents(name)) },
			})
		}
		for _, other := range s.plausible(name) {
			all = append(all, damage{
				what: fmt.Sprintf("%s there as %s, too", name, other), file: other, from: -1,
				apply: func(m *disk.Disk) { m.Put(other, s.m.Contents(name)) },
				lost:  map[string]bool{name: true, filepath.Join(filepath.Dir(name), segmentName(s.lastIndex()+1)): true},
			})
		}
	}
	return all
}

// plausible returns names that a copy of a file could have got.
func (s *damageStore) plausible(name string) []string {
	dir, base := filepath.Split(name)
	switch {
	case strings.HasPrefix(base, sparePrefix):
		return []string{dir + sparePrefix + "0123456789abcdef", dir + segmentName(s.lastIndex()+1)}
	case strings.HasSuffix(base, segmentSuffix):
		index, _ := segmentIndex(base)
		return []string{dir + segmentName(s.lastIndex()+1), dir + segmentName(index+2), dir + sparePrefix + "0123456789abcdef", dir + tempPrefix + "0"}
	case strings.HasPrefix(base, "manifest"):
		names := []string{dir + "manifest%2fbase"}
		edits := slices.DeleteFunc(s.files(), func(n string) bool { return !strings.Contains(n, "manifest%2fedit-") })
		newest, oldest := 0, 0
		_, _ = fmt.Sscanf(filepath.Base(edits[len(edits)-1]), "manifest%%2fedit-%d", &newest)
		_, _ = fmt.Sscanf(filepath.Base(edits[0]), "manifest%%2fedit-%d", &oldest)
		for _, version := range []int{newest + 1, newest + 2, oldest - 1} {
			names = append(names, fmt.Sprintf("%smanifest%%2fedit-%020d", dir, version))
		}
		return slices.DeleteFunc(names, func(n string) bool { return n == name })
	default:
		next := strings.Replace(base, "-0.parquet", "-1.parquet", 1)
		return slices.DeleteFunc([]string{dir + next, dir + strings.Replace(base, "batch%2f1", "batch%2f2", 1)}, func(n string) bool { return s.m.Has(n) })
	}
}

// truncations are all files cut to all lengths, or to every so many.
func (s *damageStore) truncations(every int) (all []damage) {
	for _, name := range s.files() {
		for size := 0; size < len(s.m.Contents(name)); size += every {
			all = append(all, damage{
				what: fmt.Sprintf("%s cut to %d bytes", name, size), file: name, from: int64(size),
				apply: func(m *disk.Disk) { m.Put(name, s.m.Contents(name)[:size]) },
			})
		}
	}
	return all
}

// Pages and files that are lost, exchanged, cut or older than the rest.
func TestDamagedFiles(t *testing.T) {
	s := sharedDamageStore(t)
	for _, row := range []struct {
		name    string
		damages []damage
		every   int
	}{
		{"pages damaged", s.pageDamages(), proof.Pick(41, 11, 1)},
		{"files damaged", s.fileDamages(), proof.Pick(3, 1, 1)},
		{"truncations", s.truncations(proof.Pick(2003, 509, 1)), 1},
	} {
		t.Run(strings.ReplaceAll(row.name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			all := newVerdicts()
			for i := 0; i < len(row.damages); i += row.every {
				v := s.judge(t, row.damages[i], i%4 == 0)
				if t.Failed() {
					return
				}
				all.add(v)
			}
			t.Log(all.n)
			require.NotZero(t, all.n[located])
			proof.Reached(t, 3, row.name, all.total())
		})
	}
}
