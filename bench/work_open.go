package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

// longLog keeps everything in the log.
var longLog = persist.Config{MaxTailBytes: 4 << 30, FlushBytes: 2 << 30, MaxLogBytes: 8 << 30, FlushInterval: -1}

// runCrash fills a log, and dies as a killed process does.
func runCrash(j job) (result, error) {
	t, err := openForm(j.Dir, longLog, asBytes)
	if err != nil {
		return nil, err
	}
	if err := load(t, 0, j.Records); err != nil {
		return nil, err
	}
	return nil, unix.Kill(os.Getpid(), unix.SIGKILL)
}

// runRecover measures two things: to open a store that crashed with a long log, and to read
// the files of the log. Both find nothing of the files in memory, as after a crash of the
// machine.
func runRecover(j job) (_ result, err error) {
	if err := evict(filepath.Join(j.Dir, "log")); err != nil {
		return nil, err
	}
	began := time.Now()
	bytes, err := readFiles(filepath.Join(j.Dir, "log"))
	if err != nil {
		return nil, err
	}
	reading := time.Since(began)
	if err := evict(filepath.Join(j.Dir, "log")); err != nil {
		return nil, err
	}
	m, err := startMeter(j.Dir)
	if err != nil {
		return nil, err
	}
	t, err := openForm(j.Dir, longLog, asBytes)
	if err != nil {
		return nil, err
	}
	r := result{}
	if err := m.stop(r, j.Records); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	r[unitReading] = reading.Seconds()
	r[unitOfReading] = r[unitTime] / reading.Seconds()
	r[unitLogMB] = float64(bytes) / 1e6
	var d digest
	if err := t.scan(d.add); err != nil {
		return nil, err
	}
	if d != digestOf(j.Records) {
		return nil, fmt.Errorf("recovered %d records, of %d", d.n, j.Records)
	}
	return r, nil
}

const (
	unitReading   = "read-s"
	unitOfReading = "open/read" // divided by the time that reading the log's files takes
	unitLogMB     = "log-MB"
	unitBatches   = "batches"
)

// evict makes the operating system forget what it has read of the files in a directory.
func evict(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		f, err := os.Open(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		err = errors.Join(unix.Fdatasync(int(f.Fd())), unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED), f.Close())
		if err != nil {
			return err
		}
	}
	return nil
}

func readFiles(dir string) (n int64, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	buf := make([]byte, 1<<20)
	for _, e := range entries {
		f, err := os.Open(filepath.Join(dir, e.Name()))
		if err != nil {
			return n, err
		}
		read, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{f}, buf)
		n += read
		if err := errors.Join(err, f.Close()); err != nil {
			return n, err
		}
	}
	return n, nil
}

// runManyStreams fills a store with streams that have many batches each.
func runManyStreams(j job) (_ result, err error) {
	ctx := context.Background()
	t, err := openForm(j.Dir, persist.Config{}, asBytes)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	type stream = persist.WriteHandle[[]byte, []byte]
	streams := make([]*stream, j.Streams)
	if err := together(64, func(from int) error {
		for i := from; i < j.Streams; i += 64 {
			var err error
			if streams[i], _, err = persist.CreateOrLoad(ctx, t.client, fmt.Sprintf("stream-%05d", i), codec.Bytes, codec.Bytes); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return nil, err
	}
	// Sealed batches are merged. Unsealed ones stay batches of their own, at least a few.
	const sealed = 7
	for at := uint64(0); ; at++ {
		n := 0
		infos, err := t.client.Streams(ctx)
		if err != nil {
			return nil, err
		}
		for _, i := range infos {
			n += i.Batches
		}
		if n >= j.Batches {
			return result{unitBatches: float64(n)}, nil
		}
		if at > 4*sealed {
			return nil, fmt.Errorf("%d batches, and no more come of writing", n)
		}
		var rec record
		futures := make([]*persist.Future[storage.SeqNo], 0, j.Streams)
		for i, w := range streams {
			rec.fill(at<<32 | uint64(i))
			u := []persist.Update[[]byte, []byte]{{Key: rec.key[:], Val: rec.val[:], Time: at, Diff: 1}}
			if at < sealed {
				futures = append(futures, w.CompareAndAppend(ctx, u, frontier.At(at), frontier.At(at+1)))
			} else {
				futures = append(futures, w.Write(ctx, u))
			}
		}
		for _, f := range futures {
			if _, err := f.Wait(ctx); err != nil {
				return nil, err
			}
		}
		if err := t.settle(); err != nil {
			return nil, err
		}
	}
}

// runOpenMany measures the opening of the store that runManyStreams has filled.
func runOpenMany(j job) (_ result, err error) {
	m, err := startMeter(j.Dir)
	if err != nil {
		return nil, err
	}
	t, err := openForm(j.Dir, persist.Config{}, asBytes)
	if err != nil {
		return nil, err
	}
	r := result{}
	if err := m.stop(r, uint64(j.Streams)); err != nil {
		return nil, err
	}
	infos, err := t.client.Streams(context.Background())
	if err != nil {
		return nil, errors.Join(err, t.close())
	}
	for _, i := range infos {
		r[unitBatches] += float64(i.Batches)
	}
	return r, t.close()
}

// runIdle measures a runtime that has nothing to do.
func runIdle(j job) (_ result, err error) {
	r := result{}
	if j.System == "tidemark" {
		t, err := openForm(j.Dir, persist.Config{}, asBytes)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, t.close()) }()
		if err := t.settle(); err != nil {
			return nil, err
		}
	}
	time.Sleep(2 * time.Second) // work that it had begun is over by then
	before, err := switches()
	if err != nil {
		return nil, err
	}
	m, err := startMeter(j.Dir)
	if err != nil {
		return nil, err
	}
	time.Sleep(j.Duration)
	if err := m.stop(r, 1); err != nil {
		return nil, err
	}
	after, err := switches()
	if err != nil {
		return nil, err
	}
	r[unitWakeUps] = (after - before) / j.Duration.Seconds()
	r[unitWroteBytes] = r[unitWrote] * recordSize
	return r, nil
}

const (
	unitWakeUps    = "wake-ups/s" // of all threads
	unitWroteBytes = "written-B"
)

// switches counts how often threads of this process went to sleep.
func switches() (n float64, err error) {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return 0, err
	}
	for _, t := range tasks {
		v, err := procValue(filepath.Join("/proc/self/task", t.Name(), "status"), "voluntary_ctxt_switches:")
		if err != nil {
			return 0, err
		}
		n += v
	}
	return n, nil
}
