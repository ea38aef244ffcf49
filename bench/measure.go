package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

// The units of measured values. They are names of units in Go's benchmark format.
const (
	unitRate   = "records/s"
	unitMB     = "MB/s" // of user bytes
	unitP50    = "p50-µs"
	unitP99    = "p99-µs"
	unitAckP50 = "ack-p50-µs"
	unitWrote  = "written/byte" // bytes written to the device for each user byte
	unitDisk   = "disk/byte"    // bytes on disk at the end for each user byte
	unitCPU    = "cpu-s"
	unitMemory = "peak-MiB" // resident
	unitTime   = "s"
	unitRead   = "read-KiB" // read from files for each key, also if the file system had it in memory
)

// result is what a run has measured, by unit.
type result map[string]float64

// meter measures what this process uses between start and stop. It also measures what the
// device below a directory is given to write, by any process.
type meter struct {
	dir   string
	began time.Time
	cpu   time.Duration
	wrote float64
}

func startMeter(dir string) (meter, error) {
	wrote, err := deviceWrites(dir)
	return meter{dir: dir, began: time.Now(), cpu: cpuTime(), wrote: wrote}, err
}

// deviceWrites counts the bytes that the device of a directory was given to write, after
// everything that waited in memory was written. The write_bytes of /proc/self/io are those
// of this process alone, but they count too much: if one page is written once more, as in a
// log over a file that was filled before, they count its whole folio, a mebibyte or so.
func deviceWrites(dir string) (float64, error) {
	f, err := os.Open(dir)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return 0, fmt.Errorf("flush the file system of %s: %w", dir, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return 0, err
	}
	stat := fmt.Sprintf("/sys/dev/block/%d:%d/stat", unix.Major(st.Dev), unix.Minor(st.Dev))
	data, err := os.ReadFile(stat)
	if os.IsNotExist(err) {
		return 0, nil // a file system without a device
	}
	if err != nil {
		return 0, err
	}
	const sectorsWritten, sector = 6, 512
	fields := strings.Fields(string(data))
	if len(fields) <= sectorsWritten {
		return 0, fmt.Errorf("%s has %d fields", stat, len(fields))
	}
	n, err := strconv.ParseFloat(fields[sectorsWritten], 64)
	return n * sector, err
}

// stop adds what n records took to r.
func (m meter) stop(r result, n uint64) error {
	took := time.Since(m.began).Seconds()
	cpu := cpuTime() - m.cpu
	wrote, err := deviceWrites(m.dir)
	if err != nil {
		return err
	}
	r[unitTime] = took
	r[unitRate] = float64(n) / took
	r[unitMB] = float64(n) * recordSize / 1e6 / took
	r[unitWrote] = (wrote - m.wrote) / (float64(n) * recordSize)
	r[unitCPU] = cpu.Seconds()
	peak, err := procValue("/proc/self/status", "VmHWM:")
	r[unitMemory] = peak / 1024
	return err
}

func cpuTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// procValue returns the number after a label in one of the kernel's text files.
func procValue(file, label string) (float64, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), label); ok {
			return strconv.ParseFloat(strings.Fields(rest)[0], 64)
		}
	}
	return 0, fmt.Errorf("%s has no %s", file, label)
}

// latencies collects times from one goroutine at a time.
type latencies struct{ h *hdrhistogram.Histogram }

func newLatencies() latencies {
	return latencies{hdrhistogram.New(1, int64(time.Minute), 3)} // in nanoseconds
}

func (l latencies) add(d time.Duration) { _ = l.h.RecordValue(int64(d)) }

func (l latencies) percentile(p float64) float64 {
	return float64(l.h.ValueAtPercentile(p)) / 1e3
}

// timer measures reads by key, from one goroutine. It counts the time of the reads alone: not
// that in which keys are drawn, and what was read is compared with the input.
type timer struct {
	latencies
	spent time.Duration
	read  float64 // bytes that this process had read from files at the start
}

func startTimer() (*timer, error) {
	read, err := bytesRead()
	return &timer{latencies: newLatencies(), read: read}, err
}

func (t *timer) add(d time.Duration) {
	t.spent += d
	t.latencies.add(d)
}

// stop returns what n keys took.
func (t *timer) stop(n uint64) (result, error) {
	read, err := bytesRead()
	return result{
		unitRate: float64(n) / t.spent.Seconds(),
		unitRead: (read - t.read) / 1024 / float64(n),
	}, err
}

// bytesRead counts what this process has read from files, also if the file system had it in
// memory.
func bytesRead() (float64, error) { return procValue("/proc/self/io", "rchar:") }

// diskUsage is what the files below dir take, in allocated blocks.
func diskUsage(dir string) (n float64, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return ignoreGone(err)
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return ignoreGone(err)
		}
		n += float64(st.Blocks) * 512
		return nil
	})
	return n, err
}

// ignoreGone ignores that a file was deleted while the directory was read.
func ignoreGone(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

// poll waits until done returns true.
func poll(done func() bool) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(10 * time.Minute)
	for !done() {
		select {
		case <-tick.C:
		case <-timeout:
			return context.DeadlineExceeded
		}
	}
	return nil
}

// together runs f in n goroutines and returns the first error.
func together(n int, f func(i int) error) error {
	var all sync.WaitGroup
	errs := make(chan error, n)
	for i := range n {
		all.Go(func() {
			if err := f(i); err != nil {
				errs <- err
			}
		})
	}
	all.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}
