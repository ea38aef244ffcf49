package file_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/internal/proof"
	"github.com/tidemark-go/tidemark/internal/seed"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// diskEnv holds the directory over which a scenario mounts a small disk. It runs in a
// process with a mount namespace of its own, so that nobody else sees the disk, and
// it is gone with the process.
const diskEnv = "TIDEMARK_TEST_DISK"

// TestFullTmpfs fills a real file system. While it is full, everything that needs no
// room works, and everything else is refused with ENOSPC and changes nothing; when
// there is room, all goes on without opening anew; and nothing acknowledged is lost.
// How much is written and how much room is left comes from the seed.
func TestFullTmpfs(t *testing.T) {
	const small, large = file.MinSegmentSize, 256 << 10 // a large one is not filled
	scenarios := []struct {
		name    string
		inodes  int // 0: as many as there is room for
		segment int64
		run     func(*smallDisk)
	}{
		{"comes and goes", 0, small, (*smallDisk).comesAndGoes},
		{"log", 0, small, (*smallDisk).inLog},
		{"segment", 0, small, (*smallDisk).inSegment},
		{"blob", 0, large, (*smallDisk).inBlob},
		{"manifest", 0, large, (*smallDisk).inManifest},
		{"merge", 0, large, (*smallDisk).inMerge},
		{"open", 0, small, (*smallDisk).atOpen},
		{"torn", 0, small, (*smallDisk).atRecovery},
		{"close", 0, small, (*smallDisk).atClose},
		{"inodes", 60, small, (*smallDisk).noInodes},
		{"follower", 0, small, (*smallDisk).withFollower},
		{"release", 0, small, (*smallDisk).release},
		{"background", 0, small, (*smallDisk).inBackground},
	}
	scenarios = scenarios[:proof.Pick(1, len(scenarios), len(scenarios))]
	var ran atomic.Int64
	proof.Run(t, proof.Pick(1, 1, 5), func(t *testing.T, seed uint64) {
		for _, s := range scenarios {
			t.Run(s.name, func(t *testing.T) {
				if dir := os.Getenv(diskEnv); dir != "" {
					s.run(mountDisk(t, filepath.Join(dir, "disk"), s.inodes, s.segment, seed))
					return
				}
				runOnDisk(t, seed)
				ran.Add(1)
			})
		}
	})
	if os.Getenv(diskEnv) != "" {
		return
	}
	if ran.Load() == 0 {
		t.Skip("no scenario has run")
	}
	proof.Reached(t, 5, "scenarios of a full disk", ran.Load())
}

// runOnDisk runs the test that calls it, of a seed, in a process that may mount. Where
// none may, a smoke test is skipped, and every other one has failed.
func runOnDisk(t *testing.T, with uint64) {
	cannot := t.Fatalf
	if proof.Current() == proof.Smoke {
		cannot = t.Skipf
	}
	var pattern []string
	for part := range strings.SplitSeq(t.Name(), "/") {
		pattern = append(pattern, "^"+part+"$")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run="+strings.Join(pattern, "/"), "-test.v", "-test.count=1")
	cmd.Env = append(os.Environ(), diskEnv+"="+t.TempDir(), fmt.Sprintf("%s=%d", seed.Variable, with), "TIDEMARK_FIGURES=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Cloneflags: syscall.CLONE_NEWNS}
	if uid := os.Getuid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		cannot("no mount namespace here: %v", err)
	}
	if strings.Contains(string(out), noMount) {
		cannot("no mounting here: %s", out)
	}
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: "+t.Name(), "it did not run")
	t.Logf("%s", out)
}

// inLog: a write that needs a new segment is refused, and what was prepared is used.
func (d *smallDisk) inLog() {
	d.load("s")
	require.True(d.t, d.put("s", d.about(3000)))
	d.fill(0)
	require.Positive(d.t, d.putUntilFull("s", d.about(1000)), "there is room in the segment")
	d.allowCompaction("s", 1) // a small command may still fit, or is refused
	d.goesOn()
}

// inSegment: making a segment fails half-way, and leaves nothing of it.
func (d *smallDisk) inSegment() {
	d.load("s")
	for pages := range 5 {
		d.fill(pages)
		d.putUntilFull("s", d.about(1000))
		require.NoError(d.t, d.client.Stop())
		names, err := filepath.Glob(filepath.Join(d.dir, "log", "tmp-*"))
		require.NoError(d.t, err)
		require.Empty(d.t, names, "a file that was not finished")
		d.open()
		d.empty()
		require.True(d.t, d.put("s", d.about(1000)))
	}
	d.goesOn()
}

// inBlob: nothing can be moved to batches, which holds up nothing else.
func (d *smallDisk) inBlob() {
	d.load("s")
	for range d.about(6) {
		require.True(d.t, d.put("s", d.about(1000)))
	}
	d.fill(0)
	for range 3 {
		require.False(d.t, d.maintain())
		names, err := filepath.Glob(filepath.Join(d.dir, "blob", "tmp", "*"))
		require.NoError(d.t, err)
		require.Empty(d.t, names, "a blob that was not finished takes room")
		require.True(d.t, d.put("s", d.about(10)))
	}
	d.goesOn()
}

// inManifest: there is room for some of the files of a round and not for all.
func (d *smallDisk) inManifest() {
	d.load("s")
	d.load("u")
	failed := 0
	for pages := range 12 {
		for range d.about(4) {
			require.True(d.t, d.put("s", d.about(2000)))
			require.True(d.t, d.put("u", d.about(2000)))
		}
		d.fill(pages)
		if !d.maintain() {
			failed++
		}
		d.reopen() // with half of a round done
		d.empty()
		require.True(d.t, d.maintain())
	}
	require.Positive(d.t, failed)
	d.goesOn()
}

// inMerge: batches cannot be merged, and stay.
func (d *smallDisk) inMerge() {
	d.load("s")
	for range 8 {
		for range d.about(4) {
			require.True(d.t, d.put("s", d.about(2000)))
		}
		d.allowCompaction("s", d.streams["s"].upper-1)
		d.fill(d.about(8))
		d.maintain()
		d.empty()
	}
	d.goesOn()
}

// atOpen: a full disk does not keep a location from being opened.
func (d *smallDisk) atOpen() {
	d.load("s")
	for range d.about(10) {
		require.True(d.t, d.put("s", d.about(1000)))
	}
	d.fill(d.rng.IntN(3))
	for range 3 {
		d.reopen()
		d.maintain()
		d.put("s", d.about(10))
	}
	d.goesOn()
}

// atRecovery: nor if there is something to recover.
func (d *smallDisk) atRecovery() {
	d.load("s")
	for range d.about(4) {
		require.True(d.t, d.put("s", d.about(500)))
	}
	d.fill(0)
	require.NoError(d.t, d.client.Stop())
	names, err := filepath.Glob(filepath.Join(d.dir, "log", "*.log"))
	require.NoError(d.t, err)
	last := slices.Max(names)
	data, err := os.ReadFile(last)
	require.NoError(d.t, err)
	// The mark at the end gives way to bytes that are no frame: a torn append.
	end := len(strings.TrimRight(string(data), "\x00"))
	f, err := os.OpenFile(last, os.O_WRONLY, 0)
	require.NoError(d.t, err)
	_, err = f.WriteAt([]byte(strings.Repeat("torn", d.about(30))), int64(end-end%8-64+8*(min(1, end%8))))
	require.NoError(d.t, errors.Join(err, f.Close()))
	d.open()
	require.True(d.t, d.put("s", 10))
	d.goesOn()
}

// atClose: closing needs no room.
func (d *smallDisk) atClose() {
	d.load("s")
	require.True(d.t, d.put("s", d.about(1000)))
	d.fill(0)
	d.putUntilFull("s", d.about(300))
	require.NoError(d.t, d.client.Stop())
	d.open()
	d.goesOn()
}

// noInodes: there is room, but not for another name.
func (d *smallDisk) noInodes() {
	d.load("s")
	for range d.about(3) {
		require.True(d.t, d.put("s", d.about(1000)))
	}
	for full := false; !full; {
		d.ballast++
		f, err := os.Create(filepath.Join(d.root, fmt.Sprintf("ballast-%d", d.ballast)))
		if full = err != nil; full {
			d.requireFull(err)
		} else {
			require.NoError(d.t, f.Close())
		}
	}
	require.False(d.t, d.maintain())
	d.putUntilFull("s", d.about(1000))
	d.reopen()
	d.goesOn()
}

// withFollower: a reader beside the writer sees and hears all that was acknowledged.
func (d *smallDisk) withFollower() {
	d.load("s")
	for range d.about(3) {
		require.True(d.t, d.put("s", d.about(1000)))
	}
	require.True(d.t, d.maintain())
	reader, err := file.OpenRead(d.t.Context(), d.dir, persist.Config{FollowInterval: time.Millisecond, CacheSizeLimit: 1})
	require.NoError(d.t, err)
	defer reader.Close()
	r, err := persist.Load(d.t.Context(), reader, "s", codec.String, codec.String)
	require.NoError(d.t, err)
	_, listener, err := r.Listen(d.t.Context())
	require.NoError(d.t, err)
	from := d.streams["s"].upper
	d.fill(0)
	require.Positive(d.t, d.putUntilFull("s", d.about(500)))
	d.maintain()
	heard := func() {
		for ; from < d.streams["s"].upper; from++ {
			e, err := listener.Next(d.t.Context())
			require.NoError(d.t, err)
			require.Len(d.t, e.Updates, 1)
			require.Equal(d.t, from, e.Updates[0].Time)
			e, err = listener.Next(d.t.Context())
			require.NoError(d.t, err)
			require.Equal(d.t, frontier.At(from+1), e.Sealed)
		}
		views, err := viewDir(d.t.Context(), d.dir)
		require.NoError(d.t, err)
		require.NoError(d.t, d.streams["s"].compare(views[0]))
	}
	heard()
	d.empty()
	for range d.about(40) {
		require.True(d.t, d.put("s", d.about(1000)))
	}
	heard() // before the log is truncated: a reader that is away too long is cut off
	require.True(d.t, d.maintain())
	require.True(d.t, d.put("s", d.about(1000)))
	heard()
	require.NoError(d.t, listener.Close())
	d.goesOn()
}

// release: what is known to be of no use any more makes room, also when there is none
// to write down that it is gone.
func (d *smallDisk) release() {
	d.load("s")
	d.load("u")
	for range 100 {
		require.True(d.t, d.put("s", d.about(4000)))
		require.True(d.t, d.put("u", d.about(1000)))
		if d.next%40 == 0 {
			require.True(d.t, d.maintain())
		}
	}
	require.True(d.t, d.maintain())
	held := d.held(0)
	require.Greater(d.t, held, diskSize/32, "the stream is not worth the trouble")
	d.fill(0)
	_, err := d.client.Destroy(d.t.Context(), "s")
	require.NoError(d.t, err, "the log has room for small commands")
	delete(d.streams, "s")
	d.allowCompaction("u", d.streams["u"].upper-1)
	// The manifest has to say that the batches are gone before they go, which takes a
	// page: a spare segment gives it. A merge in the background, which the allowed
	// compaction has woken, may take this room. It fails then and gives it back.
	for tries := 0; !d.maintain(); tries++ {
		require.Less(d.t, tries, 100)
	}
	require.Greater(d.t, d.room(), held*3/4)
	require.True(d.t, d.put("u", 20<<10), "there is room again, and the ballast is still there")
	require.True(d.t, d.maintain())
	d.goesOn()
}

// held is what the batches of a stream take of the disk, in bytes.
func (d *smallDisk) held(id int) (bytes int) {
	d.t.Helper()
	names, err := filepath.Glob(filepath.Join(d.dir, "blob", "data", fmt.Sprintf("batch%%2f%d%%2f*", id)))
	require.NoError(d.t, err)
	for _, name := range names {
		info, err := os.Stat(name)
		require.NoError(d.t, err)
		bytes += int(info.Sys().(*syscall.Stat_t).Blocks) * 512
	}
	return bytes
}

// inBackground: writers wait for room under their context when nothing can be moved
// to batches, and go on when it can, without being opened again.
func (d *smallDisk) inBackground() {
	d.config = persist.Config{
		MinStepInterval: time.Millisecond, FlushInterval: time.Millisecond,
		FlushBytes: 4 << 10, MaxTailBytes: 64 << 10, PartBytes: 8 << 10, CacheSizeLimit: 1,
	}
	d.reopen()
	d.load("s")
	require.True(d.t, d.put("s", d.about(1000)))
	d.fill(0)
	d.putUntilFull("s", d.about(1000))
	d.empty()
	for range 200 { // three times what the tail may hold
		require.True(d.t, d.put("s", d.about(1000)))
	}
	d.requireExact()
	d.goesOn()
}

// comesAndGoes: room comes and goes at random, and so do all kinds of requests.
func (d *smallDisk) comesAndGoes() {
	d.load("s")
	d.load("u")
	refused, failed := 0, 0
	for range 300 {
		name := []string{"s", "u"}[d.rng.IntN(2)]
		switch d.rng.IntN(8) {
		case 0:
			d.fill(d.rng.IntN(20))
		case 1:
			if d.rng.IntN(4) == 0 {
				d.empty()
			}
		case 2:
			if !d.maintain() {
				failed++
			}
		case 3:
			if s := d.streams[name]; s.upper > s.since+3 {
				d.allowCompaction(name, s.upper-2)
			}
		case 4:
			if d.rng.IntN(4) == 0 {
				d.reopen()
			}
		default:
			if !d.put(name, d.rng.IntN(6000)) {
				refused++
			}
		}
	}
	require.Positive(d.t, refused, "no write was refused")
	require.Positive(d.t, failed, "no maintenance failed")
	d.goesOn()
}
