package file

import (
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/internal/proof"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// storeCheck checks what crashes have left of a recorded run.
type storeCheck struct {
	states []storeModel
	groups map[int]int // the first command of the group that a command is in
	cut    bool        // the power has failed before: until recovery is done the newest mark may be lost

	images, nested       int
	whole                int // of the images: a reader sees all that the owner sees
	landed, lost, partly int // commands without an answer: all are there, none, some
	byKind               map[disk.Kind]int
}

// check opens what a crash has left, and holds it against what the client was told.
func (k *storeCheck) check(t *testing.T, i disk.Image) {
	i.OnFailure(t, func() {
		synctest.Test(t, func(t *testing.T) { k.recovers(t, i) })
	})
	k.images++
	k.byKind[i.Kind]++
}

func (k *storeCheck) recovers(t *testing.T, i disk.Image) {
	know := i.Mark.(told)
	seen := k.checkReader(t, i.Disk)
	s := k.reopen(t, i)
	at := s.told.acked
	require.LessOrEqual(t, seen, at, "a reader saw more than there is")
	if know.acked > 0 {
		require.Contains(t, k.groups, know.acked)
		require.GreaterOrEqual(t, seen, k.groups[know.acked]-1, "a reader missed more than the newest of the groups that were acknowledged")
	}
	if i.Kind == disk.Killed && !k.cut {
		require.GreaterOrEqual(t, seen, know.acked, "a reader missed what was acknowledged by a process that died")
	}
	if seen == at {
		k.whole++
	}
	switch {
	case know.acked == know.submitted:
	case at == know.submitted:
		k.landed++
	case at == know.acked:
		k.lost++
	default:
		k.partly++
	}

	// Life goes on, and what was seen stays through another power cut.
	for range 2 {
		s.submit(s.state().next(s.rng))
	}
	if s.rng.IntN(3) == 0 {
		s.submit(s.state().bulk())
	}
	s.wait()
	synctest.Wait() // what no manifest names is gone
	second := i.Disk
	if i.Rand.IntN(2) == 0 {
		i.Disk.Alone(func() { second = i.Disk.Crash(nil, 0) })
	}
	require.NoError(t, s.c.Close())

	c := openStore(t, second)
	k.requireText(t, c, s.state(), "the second time")
	if i.Rand.IntN(4) > 0 {
		require.NoError(t, c.Close())
		return
	}
	require.NoError(t, c.Maintain(t.Context()))
	k.requireText(t, c, s.state(), "after maintenance")
	for name, model := range s.state() {
		if _, err := c.Description(t.Context(), name); model.destroyed {
			require.ErrorIs(t, err, persist.ErrDestroyed)
		}
	}
	synctest.Wait()
	require.NoError(t, c.Close())
	requireTidy(t, second)
}

// requireTidy checks that a store that was maintained and closed has no file that
// nobody needs: opening it again finds none to remove.
func requireTidy(t *testing.T, m *disk.Disk) {
	require.Empty(t, m.Names(tempPrefix))
	require.LessOrEqual(t, len(m.Names(sparePrefix)), maxSpares)
	require.LessOrEqual(t, len(m.Names(tornPrefix)), maxTorn)
	before := m.Names(blobPath(batchPrefix))
	c := openStore(t, m)
	synctest.Wait()
	require.ElementsMatch(t, before, m.Names(blobPath(batchPrefix)), "what is left over is not collected")
	require.NoError(t, c.Close())
}

// batchPrefix begins the keys of the engine's batches.
const batchPrefix = "batch/"

// reopen opens what a crash has left and returns a session that goes on from there.
func (k *storeCheck) reopen(t *testing.T, i disk.Image) *storeSession {
	s := &storeSession{t: t, m: i.Disk, rng: i.Rand, did: map[string]int{}}
	s.open()
	text, seqno, err := readStore(t.Context(), s.c, createIn(t.Context(), s.c))
	require.NoError(t, err)
	at := k.position(t, text, seqno, i.Mark.(told))
	s.states, s.told = slices.Clone(k.states[:at+1]), told{at, at}
	s.m.Mark(s.told) // the client has seen it
	return s
}

func (k *storeCheck) requireText(t *testing.T, c *persist.Client, want storeModel, when string) {
	t.Helper()
	text, _, err := readStore(t.Context(), c, createIn(t.Context(), c))
	require.NoError(t, err, when)
	require.Equal(t, want.String(), text, when)
}

// checkRecovery records what opening does to an image, and life after it, and
// checks what a crash in the middle of that leaves.
func (k *storeCheck) checkRecovery(t *testing.T, i disk.Image, chosen func(*rand.Rand) bool) {
	inner := &storeCheck{byKind: map[disk.Kind]int{}, cut: i.Kind != disk.Killed}
	var j *disk.Journal
	i.OnFailure(t, func() {
		synctest.Test(t, func(t *testing.T) {
			j = i.Disk.Record()
			i.Disk.Mark(i.Mark)
			s := k.reopen(t, i)
			synctest.Wait()
			s.submit(s.state().next(s.rng))
			s.submit(s.state().bulk())
			s.wait()
			require.NoError(t, s.c.Maintain(t.Context()))
			require.NoError(t, s.c.Close())
			i.Disk.End()
			// What the first crash took may have been in states that are gone now.
			inner.states = s.states
			if know := i.Mark.(told); len(inner.states) <= know.submitted {
				inner.states = append(inner.states, k.states[len(inner.states):know.submitted+1]...)
			}
		})
		inner.groups = maps.Clone(k.groups)
		maps.Copy(inner.groups, groupsIn(j))
		for n := range j.Images(i.Rand.Uint64(), chosen) {
			inner.check(t, n)
		}
	})
	k.nested += inner.images
}

// position returns after which command the store is as text says. It must be one
// that a client which knows this may see.
func (k *storeCheck) position(t *testing.T, text string, seqno storage.SeqNo, know told) int {
	t.Helper()
	if seqno != 0 {
		require.GreaterOrEqual(t, int(seqno), know.acked, "acknowledged commands are lost")
		require.LessOrEqual(t, int(seqno), know.submitted, "commands that nobody submitted")
		require.Equal(t, k.states[seqno].String(), text, "after command %d", seqno)
		return int(seqno)
	}
	for at := know.acked; at <= know.submitted; at++ {
		if k.states[at].String() == text {
			return at
		}
	}
	require.Fail(t, "no state in which the store may be", "commands %+v, found %q", know, text)
	return 0
}

// checkReader looks at the store as another process does that only reads, which
// must see a state that there was and change nothing.
func (k *storeCheck) checkReader(t *testing.T, m *disk.Disk) int {
	t.Helper()
	before := m.Changes()
	r, err := OpenRead(t.Context(), "/db", smallConfig(), withFileSystem(m))
	require.NoError(t, err, "for reading")
	defer r.Close()
	text, seqno, err := readStore(t.Context(), r, loadFrom(t.Context(), r))
	require.NoError(t, err, "for reading")
	require.NoError(t, r.Close())
	require.Equal(t, before, m.Changes(), "a reader has changed something")
	return k.position(t, text, seqno, told{0, len(k.states) - 1})
}

// groupsIn returns of each command in the log the first one that was written with it.
func groupsIn(j *disk.Journal) map[int]int {
	firsts := map[int]int{}
	for _, s := range j.Steps() {
		if s.Op != "write" || len(s.Data) < frameHeaderSize || binary.LittleEndian.Uint32(s.Data) != frameMagic|uint32(kindGroup)<<24 {
			continue
		}
		first := int(binary.LittleEndian.Uint64(s.Data[16:]))
		for n := range int(binary.LittleEndian.Uint32(s.Data[4:])) {
			firsts[first+n] = first
		}
	}
	return firsts
}

// The power fails, or the process dies, after any operation of a workload: see
// storeCheck. And again while the store recovers from that.
func TestStoreCrashAtEveryOperation(t *testing.T) {
	t.Parallel()
	const perRecovery = 8 // nested images of one image, about
	workloads := proof.Pick(1, 2, 10)
	share := proof.Pick(5, 50, 250) // of the images, in thousandths
	nested := proof.Pick(16, 500, 20000)/workloads + perRecovery
	var images, nestedImages atomic.Int64
	proof.Run(t, workloads, func(t *testing.T, seed uint64) {
		r := recordStore(t, seed, 400)
		r.requireActive(t)
		k := &storeCheck{states: r.states, groups: groupsIn(r.journal), byKind: map[disk.Kind]int{}}
		for i := range r.journal.Images(seed, func(rng *rand.Rand) bool { return rng.IntN(1000) < share }) {
			if i.Rand.IntN(16*share) < 2*nested/perRecovery && k.nested < nested {
				again := i
				again.Disk = i.Disk.Clone()
				k.checkRecovery(t, again, func(rng *rand.Rand) bool { return rng.IntN(30) == 0 })
			}
			k.check(t, i)
		}
		t.Logf("%d steps, %v; %d images, %v; a reader saw all of %d; unanswered commands: all %d, none %d, some %d; %d nested",
			len(r.journal.Steps()), r.did, k.images, k.byKind, k.whole, k.landed, k.lost, k.partly, k.nested)
		for _, kind := range disk.Kinds() {
			require.NotZero(t, k.byKind[kind], "no image: %s", kind)
		}
		require.NotZero(t, k.landed, "no unanswered command was found")
		require.NotZero(t, k.lost, "no unanswered command was lost")
		require.Greater(t, 4*k.whole, k.images, "readers see too little")
		require.NotZero(t, k.nested)
		images.Add(int64(k.images))
		nestedImages.Add(int64(k.nested))
	})
	proof.Reached(t, 1, "crash images of a store", images.Load())
	proof.Reached(t, 2, "images of a crash during recovery", nestedImages.Load())
}

// A power cut may take the mark behind the newest group of the log, but not the
// edit of the manifest that reflects the group. To a reader this is no damage.
func TestReaderAfterPowerCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := disk.New()
		s := &storeSession{t: t, m: m, rng: rand.New(rand.NewPCG(1, 0)), states: []storeModel{{}}, did: map[string]int{}}
		s.open()
		for range 20 {
			s.submit(s.state().next(s.rng))
			s.wait()
		}
		require.NoError(t, s.c.Maintain(t.Context()))
		var left *disk.Disk
		m.Alone(func() { left = m.Crash(nil, 0) })
		require.NoError(t, s.c.Close())

		log, err := NewLogReader("/db", withFileSystem(left))
		require.NoError(t, err)
		bounds, err := log.Bounds(t.Context())
		require.NoError(t, err)
		require.Less(t, int(bounds.Last), s.told.acked, "the mark is gone")
		require.NoError(t, log.Close())
		k := &storeCheck{states: s.states}
		require.Equal(t, s.told.acked, k.checkReader(t, left))
	})
}
