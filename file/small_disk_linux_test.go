package file_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

const (
	noMount  = "cannot mount a small disk"
	diskSize = 4 << 20
	page     = 4 << 10
)

// smallDisk is a full disk sooner or later, and a location on it.
type smallDisk struct {
	t       *testing.T
	root    string
	dir     string
	rng     *rand.Rand
	client  *persist.Client
	config  persist.Config
	segment int64 // size in bytes
	ballast int
	next    int
	streams map[string]*diskStream
}

type diskStream struct {
	write *textWriter
	read  *textReader
	expected
}

func mountDisk(t *testing.T, root string, inodes int, segment int64, seed uint64) *smallDisk {
	require.NoError(t, os.Mkdir(root, 0o700))
	err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
	if err == nil {
		err = syscall.Mount("tmpfs", root, "tmpfs", 0, fmt.Sprintf("size=%d,nr_inodes=%d", diskSize, inodes))
	}
	if err != nil {
		t.Fatalf("%s: %v", noMount, err)
	}
	// What a failed test left open goes with the process, and the disk with it.
	t.Cleanup(func() { _ = syscall.Unmount(root, syscall.MNT_DETACH) })
	d := &smallDisk{
		t: t, root: root, dir: filepath.Join(root, "db"), segment: segment, rng: rand.New(rand.NewPCG(seed, 5)), streams: map[string]*diskStream{},
		// Nothing happens of its own accord, and reads are of files.
		config: persist.Config{MinStepInterval: time.Hour, FlushInterval: -1, PartBytes: 8 << 10, CacheSizeLimit: 1},
	}
	d.open()
	return d
}

// about draws a number that is n on average: from half of it up to one and a half.
func (d *smallDisk) about(n int) int { return n/2 + d.rng.IntN(n+1) }

// open opens the location and finds all that was acknowledged.
func (d *smallDisk) open() {
	d.t.Helper()
	client, err := file.Open(d.t.Context(), d.dir, d.config, file.SegmentSize(d.segment, 2*d.segment))
	require.NoError(d.t, err)
	d.client = client
	d.t.Cleanup(func() { _ = client.Stop() })
	for name := range d.streams {
		d.load(name)
	}
	d.requireExact()
}

func (d *smallDisk) reopen() {
	d.t.Helper()
	require.NoError(d.t, d.client.Stop())
	d.open()
}

func (d *smallDisk) load(name string) *diskStream {
	d.t.Helper()
	s := d.streams[name]
	if s == nil {
		s = &diskStream{expected: expected{rows: map[row]int64{}}}
	}
	var err error
	s.write, s.read, err = persist.CreateOrLoad(d.t.Context(), d.client, name, codec.String, codec.String)
	require.NoError(d.t, err)
	d.streams[name] = s
	return s
}

// requireExact reads all streams.
func (d *smallDisk) requireExact() {
	d.t.Helper()
	for name, s := range d.streams {
		snapshot, err := s.read.Snapshot(d.t.Context())
		require.NoError(d.t, err)
		v, err := viewOf(d.t.Context(), name, snapshot)
		require.NoError(d.t, err)
		require.NoError(d.t, s.compare(v))
	}
}

// requireFull requires the error of a full disk.
func (d *smallDisk) requireFull(err error) {
	d.t.Helper()
	require.ErrorIs(d.t, err, syscall.ENOSPC)
	require.NotErrorIs(d.t, err, persist.ErrOutcomeUnknown)
}

// put writes a row of a size and seals its time. It reports false if the disk is full.
func (d *smallDisk) put(stream string, size int) bool {
	d.t.Helper()
	s := d.streams[stream]
	r := row{Key: fmt.Sprint(d.next), Size: size, Time: s.upper, Diff: 1}
	d.next++
	_, err := s.write.CompareAndAppend(d.t.Context(), updatesOf([]row{r}), frontier.At(s.upper), frontier.At(s.upper+1)).Wait(d.t.Context())
	if err != nil {
		d.requireFull(err)
		require.ErrorIs(d.t, err, storage.ErrNoEffect)
		return false
	}
	s.add(r)
	s.upper++
	return true
}

// putUntilFull writes until a write is refused.
func (d *smallDisk) putUntilFull(stream string, size int) (n int) {
	d.t.Helper()
	for d.put(stream, size) {
		n++
		require.Less(d.t, n*size, 2*diskSize, "the disk never gets full")
	}
	require.False(d.t, d.put(stream, size), "and again")
	d.requireExact()
	return n
}

func (d *smallDisk) allowCompaction(stream string, since uint64) {
	d.t.Helper()
	s := d.streams[stream]
	_, err := s.write.AllowCompaction(d.t.Context(), frontier.At(since)).Wait(d.t.Context())
	if err != nil {
		d.requireFull(err)
		return
	}
	s.since = max(s.since, since)
}

// maintain reports false if the disk is full.
func (d *smallDisk) maintain() bool {
	d.t.Helper()
	err := d.client.Maintain(d.t.Context())
	if err != nil {
		d.requireFull(err)
	}
	d.requireExact()
	return err == nil
}

// fill takes all room but that of some pages. A segment that is being prepared
// meanwhile may take them, or give some back when it is not finished.
func (d *smallDisk) fill(pages int) {
	d.t.Helper()
	for room := d.room() - pages*page; room > 0; room = d.room() - pages*page {
		d.ballast++
		name := filepath.Join(d.root, fmt.Sprintf("ballast-%d", d.ballast))
		if err := os.WriteFile(name, make([]byte, room), 0o600); err != nil {
			d.requireFull(err)
		}
	}
}

// room is what is free, in bytes.
func (d *smallDisk) room() int {
	d.t.Helper()
	var s syscall.Statfs_t
	require.NoError(d.t, syscall.Statfs(d.root, &s))
	return int(s.Bfree) * int(s.Bsize)
}

// empty gives the room back.
func (d *smallDisk) empty() {
	d.t.Helper()
	names, err := filepath.Glob(filepath.Join(d.root, "ballast-*"))
	require.NoError(d.t, err)
	for _, name := range names {
		require.NoError(d.t, os.Remove(name))
	}
}

// goesOn requires that everything works again, and what is there after opening anew.
func (d *smallDisk) goesOn() {
	d.t.Helper()
	d.empty()
	for name := range d.streams {
		require.True(d.t, d.put(name, 1000))
	}
	require.True(d.t, d.maintain())
	d.reopen()
	for name := range d.streams {
		require.True(d.t, d.put(name, 50<<10), "larger than a small segment")
	}
	d.requireExact()
}
