package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"
)

// job is one run of one work on one system. It runs in a process of its own, so that
// memory, processor time, input and output are those of the job alone.
type job struct {
	Work   string
	System string
	Dir    string // of the store

	From      uint64 // number of the first record
	Records   uint64
	Keys      uint64
	Writers   int
	InFlight  int
	Listeners int
	Pace      int // records a second, by all writers
	Streams   int
	Batches   int
	Duration  time.Duration
	State     string // of the cache: statePages or stateWarm
}

// works are the ways of running a job.
var works = map[string]func(job) (result, error){
	"Write":       runWrite,
	"Pipelined":   runPipelined,
	"Bulk":        runBulk,
	"Scan":        runScan,
	"Listen":      runListen,
	"FanOut":      runFanOut,
	"Flow":        runFlow,
	"Pipeline":    runPipeline,
	"Finished":    runFinished,
	"Upsert":      runUpsert,
	"Crash":       runCrash,
	"Recover":     runRecover,
	"ManyStreams": runManyStreams,
	"OpenMany":    runOpenMany,
	"Idle":        runIdle,
	"Compacted":   runCompacted,
	"Sealed":      runSealed,
	"Get":         runGet,
	"GetAbsent":   runGetAbsent,
	"Lookup":      runLookup,
	"Range":       runRange,
}

// name is the name of the job in Go's benchmark format.
func (j job) name() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s/system=%s", j.Work, j.System)
	for _, p := range []struct {
		key   string
		value uint64
	}{
		{"records", j.Records}, {"from", j.From}, {"keys", j.Keys}, {"writers", uint64(j.Writers)},
		{"in-flight", uint64(j.InFlight)}, {"listeners", uint64(j.Listeners)}, {"streams", uint64(j.Streams)},
	} {
		if p.value > 0 {
			fmt.Fprintf(&b, "/%s=%d", p.key, p.value)
		}
	}
	if j.State != "" {
		fmt.Fprintf(&b, "/state=%s", j.State)
	}
	return b.String()
}

func (j job) open() (store, error) {
	s, err := systemNamed(j.System)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(j.Dir, 0o700); err != nil {
		return nil, err
	}
	return s.open(j.Dir)
}

// jobTimeout is much longer than any job takes.
const jobTimeout = 20 * time.Minute

// runInChild runs the job in a process of its own, with a profile if profiles names a
// directory.
func (j job) runInChild(ctx context.Context, profiles string) (result, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	input, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, jobTimeout)
	defer cancel()
	args := []string{"-job", string(input)}
	if profiles != "" {
		args = append(args, "-cpuprofile", filepath.Join(profiles, strings.ReplaceAll(j.name(), "/", "_")+".cpu"))
	}
	cmd := exec.CommandContext(ctx, self, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && j.Work == "Crash" {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signal() == syscall.SIGKILL {
			return result{}, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", j.name(), err, strings.TrimSpace(stderr.String()))
	}
	r := result{}
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		return nil, fmt.Errorf("%s: %w", j.name(), err)
	}
	return r, nil
}

// runHere runs the job that a parent has described, and prints what it measured.
func runHere(input, profile string) (err error) {
	var j job
	if err := json.Unmarshal([]byte(input), &j); err != nil {
		return err
	}
	run, ok := works[j.Work]
	if !ok {
		return fmt.Errorf("no work is called %q", j.Work)
	}
	if profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return errors.Join(err, f.Close())
		}
		defer func() {
			pprof.StopCPUProfile()
			err = errors.Join(err, f.Close())
		}()
	}
	r, err := run(j)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}
