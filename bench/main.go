// Command bench runs the same work on Tidemark and on what a Go pipeline author could use
// instead, on this machine, in one run. It prints tables of both.
//
//	go run .                       everything, under half an hour
//	go run . -quick                less of it, under three minutes
//	go run . -run 'Write|Listen'   the works whose names match
//	go run . -save DIR             also writes DIR/results.txt, DIR/tables.md and plots
//	go run . -profiles DIR         also writes a profile of the processor for every job
//	go run . -compare OLD NEW      compares two results.txt, and fails if NEW is worse
//
// Every run of a work on a system has a process and a directory of its own. Systems that
// are compared take turns, and medians are printed. For everything, the command needs 20 GB
// below -dir.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	isQuick := flag.Bool("quick", false, "do a tenth of the work, once")
	pattern := flag.String("run", "", "run the works whose names match this regular expression")
	rounds := flag.Int("rounds", 0, "how often everything is measured (default 5, with -quick 1)")
	dir := flag.String("dir", "", "directory for data (default: one for temporary files)")
	save := flag.String("save", "", "write results, tables and plots into this directory")
	isCompare := flag.Bool("compare", false, "compare two files of results: OLD NEW")
	tolerance := flag.Float64("tolerance", 0.1, "with -compare: how much worse a median may be")
	profiles := flag.String("profiles", "", "write a profile of the processor for every job into this directory")
	profile := flag.String("cpuprofile", "", "with -job: write a profile of the processor")
	here := flag.String("job", "", "run one job in this process (what bench calls itself with)")
	flag.Parse()
	if *here != "" {
		return runHere(*here, *profile)
	}
	if *isCompare {
		if flag.NArg() != 2 {
			return errors.New("-compare wants two files: OLD NEW")
		}
		return compare(os.Stdout, flag.Arg(0), flag.Arg(1), *tolerance)
	}
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q: see -help", flag.Arg(0))
	}
	s := full
	if *isQuick {
		s = quick
	}
	if *rounds > 0 {
		s.rounds = *rounds
	}
	matching, err := regexp.Compile(*pattern)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *profiles != "" {
		if err := os.MkdirAll(*profiles, 0o755); err != nil {
			return err
		}
	}
	results, err := measure(ctx, s, matching, *dir, *profiles)
	if err != nil {
		return err
	}
	if *save != "" {
		if err := saveAll(*save, results); err != nil {
			return err
		}
	}
	return results.print(os.Stdout)
}

// measure runs the steps of the plan whose names match, and the steps that these need.
func measure(ctx context.Context, s scale, matching *regexp.Regexp, dir, profiles string) (_ *results, err error) {
	temp, err := os.MkdirTemp(dir, "tidemark-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	steps := s.plan()
	wanted := make(map[string]bool) // stores
	for _, st := range steps {
		if matching.MatchString(st.name()) && st.store != "" {
			wanted[st.store] = true
		}
	}
	out := newResults(s)
	began := time.Now()
	for round := range s.rounds {
		for _, st := range steps {
			if !matching.MatchString(st.name()) && !wanted[st.store] || st.once && round > 0 {
				continue
			}
			r, err := st.do(temp, func(j job) (result, error) { return j.runInChild(ctx, profiles) })
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(os.Stderr, "%6.0f s  %d/%d  %s\n", time.Since(began).Seconds(), round+1, s.rounds, st.name())
			if !st.setUp {
				out.add(st.name(), r)
			}
		}
	}
	return out, nil
}

// do runs a step in a directory below temp.
func (st step) do(temp string, run func(job) (result, error)) (_ result, err error) {
	j := st.job
	name := st.store
	if name == "" {
		name = "store"
		st.fresh, st.last = true, true
	}
	j.Dir = filepath.Join(temp, name)
	if st.fresh {
		if err := os.RemoveAll(j.Dir); err != nil {
			return nil, err
		}
	}
	if st.last {
		defer func() { err = errors.Join(err, os.RemoveAll(j.Dir)) }()
	}
	return run(j)
}
