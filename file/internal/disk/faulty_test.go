package disk

import (
	"errors"
	"io"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/vfs"
)

// read and put call an operation from code that is neither in this package nor in a test:
// from the file io.go of package io.
func read(f vfs.File) (string, error) {
	b := make([]byte, 3)
	_, err := io.NewSectionReader(f, 0, 3).Read(b)
	return string(b), err
}

func put(f vfs.File, text string) error {
	return second(io.NewOffsetWriter(f, 0).Write([]byte(text)))
}

// sitesOf returns the places from which read and put call.
func sitesOf(t *testing.T) (reads, writes Site) {
	f := NewFaulty(New(), nil)
	h := write(t, f, "/f", "one")
	f.RecordOps()
	require.NoError(t, put(h, "two"))
	got, err := read(h)
	require.NoError(t, err)
	require.Equal(t, "two", got)
	ops := f.Ops()
	require.Len(t, ops, 2)
	for i, op := range []string{"write", "read"} {
		require.Equal(t, Site{File: "io.go", Line: ops[i].Line, Op: op}, ops[i])
	}
	return ops[1], ops[0]
}

// The nth call from a place fails, once or from then on.
func TestFaultAtTheNthCall(t *testing.T) {
	reads, _ := sitesOf(t)
	for _, sticky := range []bool{false, true} {
		plan := Fault{Site: reads, Nth: 2, Kind: FailedRead, Sticky: sticky}
		f := NewFaulty(New(), &plan)
		h := write(t, f, "/f", "one")
		var failed []bool
		for range 4 {
			require.Equal(t, len(failed) > 1, f.Happened())
			_, err := read(h)
			require.True(t, err == nil || errors.Is(err, syscall.EIO), "%v", err)
			failed = append(failed, err != nil)
		}
		require.Equal(t, []bool{false, true, sticky, sticky}, failed)
		require.NoError(t, put(h, "two"), "the plan is for reads")
		require.Equal(t, "/f", f.HappenedAt())
		require.Equal(t, sticky, f.Sticky())
		require.Equal(t, reads, f.Failed()[0])
		require.Equal(t, &plan, f.Plan())
		f.Heal()
		_, err := read(h)
		require.NoError(t, err)
		require.True(t, f.Happened())
	}
}

// Each kind has its error and its effect.
func TestKindsOfFaults(t *testing.T) {
	_, writes := sitesOf(t)
	for kind, row := range map[FaultKind]struct {
		err  error
		left string
	}{
		EIO: {syscall.EIO, "one"}, Full: {syscall.ENOSPC, "one"}, ShortWrite: {syscall.EIO, "tne"}, Dead: {syscall.EIO, "one"},
	} {
		f := NewFaulty(New(), &Fault{Site: writes, Nth: 1, Kind: kind, Sticky: kind == Dead})
		h := write(t, f, "/f", "one")
		require.ErrorIs(t, put(h, "two"), row.err, kind)
		require.Equal(t, row.left, string(f.Disk.Contents("/f")), kind)
		require.Equal(t, kind == Dead, h.Close() != nil, kind)
		require.Zero(t, f.Disk.Handles(), "what fails to close is closed")
	}
	ops := []string{"open", "openWrite", "create", "rename", "remove", "mkdir", "list", "stat", "openDir", "lock", "unlock",
		"read", "write", "sync", "datasync", "truncate", "size", "links", "isAt", "tryLock", "tryLockByte", "unlockByte", "id", "close", "syncDir", "absolute"}
	of := map[FaultKind]bool{Dead: true} // applies to all
	for _, op := range ops {
		require.NotEmpty(t, FaultsOf(op), op)
		for _, kind := range FaultsOf(op) {
			require.True(t, kind.applies(op))
			of[kind] = true
		}
		require.True(t, Dead.applies(op))
	}
	for _, kind := range FaultKinds() {
		require.True(t, of[kind], "no operation fails so: %s", kind)
	}
	require.False(t, FailedRead.applies("write"))
}

// What must not follow a failed flush is noticed, until the files are looked at afresh.
func TestWrong(t *testing.T) {
	// A flush that this test calls has no place in the code: it fails through a dead disk.
	_, writes := sitesOf(t)
	for name, row := range map[string]struct {
		fail, do func(f *Faulty, h vfs.File, d vfs.Dir)
		wrong    string
	}{
		"flushed again": {syncFile, syncFile, "/f was flushed again after its flush had failed"},
		"written":       {syncFile, func(_ *Faulty, h vfs.File, _ vfs.Dir) { _ = put(h, "x") }, "/f was written although its flush had failed"},
		"renamed": {syncFile, func(f *Faulty, _ vfs.File, _ vfs.Dir) { _ = f.Rename("/f", "/g") },
			"/f got the name /g although its flush had failed"},
		"directory flushed again": {syncNames, syncNames, "directory / was flushed again after its flush had failed"},
		"read":                    {syncFile, func(_ *Faulty, h vfs.File, _ vfs.Dir) { _, _ = read(h) }, ""},
		"removed and made again": {syncFile, func(f *Faulty, _ vfs.File, _ vfs.Dir) {
			_ = f.Remove("/f")
			h, _ := f.Create("/f")
			_ = h.Sync()
		}, ""},
		"in a new session": {syncFile, func(f *Faulty, h vfs.File, d vfs.Dir) { f.NewSession(); syncFile(f, h, d) }, ""},
	} {
		f := NewFaulty(New(), &Fault{Site: writes, Nth: 1, Kind: Dead, Sticky: true})
		h := write(t, f, "/f", "one")
		d, err := f.OpenDir("/")
		require.NoError(t, err)
		require.Error(t, put(h, "two"))
		row.fail(f, h, d)
		f.Heal()
		require.Empty(t, f.Wrong(), name)
		row.do(f, h, d)
		if row.wrong == "" {
			require.Empty(t, f.Wrong(), name)
		} else {
			require.Equal(t, []string{row.wrong}, f.Wrong(), name)
		}
	}
}

func syncFile(_ *Faulty, h vfs.File, _ vfs.Dir)  { _ = h.Sync() }
func syncNames(_ *Faulty, _ vfs.File, d vfs.Dir) { _ = d.SyncDir() }
