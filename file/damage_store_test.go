package file

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

// damageStore is a closed location with files of every kind, to be damaged: several
// segments and spares, a base and edits of the manifest, trace and unsealed parts of
// several streams, and commands that are in the log alone.
type damageStore struct {
	m      *disk.Disk
	old    *disk.Disk   // the same location, some commands earlier
	states []storeModel // after each entry of the log that there ever was; [0] is empty
	want   map[string]string
	ids    map[string]string // the names of streams by the directory of their parts
}

// add notes a command that was acknowledged, and now is what it has led to.
func (s *damageStore) add(c storeCommand) { s.states = append(s.states, s.now().apply(c)) }

func (s *damageStore) now() storeModel { return s.states[len(s.states)-1] }

// command executes a command and notes what it does.
func (s *damageStore) command(t *testing.T, c storeCommand, f *persist.Future[storage.SeqNo]) {
	t.Helper()
	seqno, err := f.Wait(ctx0)
	require.NoError(t, err)
	s.add(c)
	require.EqualValues(t, len(s.states)-1, seqno, "one entry for each command")
}

func (s *damageStore) create(t *testing.T, db *persist.Client, name string) *rowWriter {
	t.Helper()
	w, _, err := persist.CreateOrLoad(ctx0, db, name, codec.String, codec.Uint64)
	require.NoError(t, err)
	if s.now()[name] == nil {
		s.add(created(name))
	}
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
	s.add(destroyed(name))
	require.NoError(t, db.Maintain(ctx0))
	w = s.create(t, db, "s")
	at := s.now().upper("s")
	s.command(t, sealed("s", at+1), w.Seal(ctx0, at+1))
	require.NoError(t, db.Maintain(ctx0)) // the base
	require.NoError(t, db.Close())
}

// rounds writes to all streams, with a base and some edits, and leaves the last
// commands to the log.
func (s *damageStore) rounds(t *testing.T, n int) {
	for round := range n {
		db, err := startOwner(s.m, quietConfig())
		require.NoError(t, err)
		for i, name := range []string{"s", "other", "third"} {
			w := s.create(t, db, name)
			at := s.now().upper(name)
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
				updates := []rowUpdate{{Key: strings.Repeat(strconv.Itoa(int(i)), 3000), Time: s.now().upper("s"), Diff: 1}}
				s.command(t, wrote("s", updates), w.Write(ctx0, updates))
			}
			s.command(t, sealed("s", s.now().upper("s")+1), w.Seal(ctx0, s.now().upper("s")+1))
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

func emptyDamageStore() *damageStore {
	return &damageStore{m: disk.New(), states: []storeModel{{}}}
}

func newDamageStore(t *testing.T) *damageStore {
	t.Helper()
	s := emptyDamageStore()
	s.bulk(t, "bulk one")
	s.rounds(t, 2)
	s.old = s.m.Clone()
	s.bulk(t, "bulk two")
	s.rounds(t, 3)
	s.m, s.old = s.m.Crash(nil, 1), s.old.Crash(nil, 1) // all on disk, so that clones are cheap
	db, err := startOwner(s.m.Clone(), quietConfig())
	require.NoError(t, err)
	infos, err := db.Streams(ctx0)
	require.NoError(t, err)
	s.ids = map[string]string{}
	for _, i := range infos {
		s.ids[fmt.Sprintf("batch%%2f%d%%2f", i.ID)] = i.Name
	}
	require.NoError(t, db.Close())
	s.want = s.now().texts()
	got, err := s.read(s.m)
	require.NoError(t, err)
	require.Equal(t, s.want, got)
	return s
}

// before is what the location held before the entry of a position.
func (s *damageStore) before(next storage.SeqNo) map[string]string { return s.states[next-1].texts() }

// files returns the names of the files, without those that hold nothing of the
// location's contents.
func (s *damageStore) files() []string {
	var names []string
	for name := range s.m.All() {
		if !s.m.IsDir(name) && filepath.Base(name) != lockName {
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
func streamsOf(c readers, load loader) (map[string]string, error) {
	infos, err := c.Streams(ctx0)
	if err != nil {
		return nil, err
	}
	texts, failed := map[string]string{}, readError{}
	for _, info := range infos {
		text, _, err := readStream(ctx0, info.Name, load)
		if err != nil {
			failed[info.Name] = err
			continue
		}
		texts[info.Name] = string(text)
	}
	if len(failed) > 0 {
		return texts, failed
	}
	return texts, nil
}

// checkReadsByKey returns an error if reads by key of a stream that can be read give something
// else than a read of everything.
func checkReadsByKey(name string, load loader) error {
	r, err := load(name)
	if err != nil {
		return err
	}
	s, err := r.Snapshot(ctx0)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	all, err := collected(s.AsOf(ctx0, math.MaxUint64))
	if err != nil {
		return err
	}
	var keys []string
	for _, u := range all {
		keys = append(keys, u.Key)
	}
	view := s.At(math.MaxUint64)
	got, err := collected(view.Lookup(ctx0, slices.Values(keys)))
	if err != nil {
		return err
	}
	if !slices.Equal(all, got) {
		return fmt.Errorf("the keys of stream %q have %v, and everything is %v", name, got, all)
	}
	absent, err := collected(view.Get(ctx0, "key\x00"))
	if err == nil && len(absent) > 0 {
		err = fmt.Errorf("a key that stream %q does not have has %v", name, absent)
	}
	return err
}

func collected(rows func(yield func(rowUpdate, error) bool)) (all []rowUpdate, err error) {
	for u, err := range rows {
		if err != nil {
			return nil, err
		}
		all = append(all, u)
	}
	return all, nil
}

// read reads a location as a follower, in whole and by keys.
func (s *damageStore) read(m *disk.Disk) (map[string]string, error) {
	c, err := startFollower(m, quietConfig())
	if err != nil {
		return nil, err
	}
	texts, err := streamsOf(c, loadFrom(ctx0, c))
	for name := range texts {
		err = errors.Join(err, checkReadsByKey(name, loadFrom(ctx0, c)))
	}
	return texts, errors.Join(err, c.Close())
}

// own reads a location as its owner. opened is false if it was refused.
func (s *damageStore) own(m *disk.Disk, maintain bool) (texts map[string]string, opened bool, err error) {
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

func (s *damageStore) lastIndex() uint64 {
	segments := s.segments()
	index, _ := segmentIndex(filepath.Base(segments[len(segments)-1]))
	return index
}
