package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// results are all runs, by name and unit, in the order in which the names came.
type results struct {
	scale scale
	names []string
	runs  map[string]map[string][]float64
}

func newResults(s scale) *results {
	return &results{scale: s, runs: make(map[string]map[string][]float64)}
}

func (rs *results) add(name string, r result) {
	if rs.runs[name] == nil {
		rs.names = append(rs.names, name)
		rs.runs[name] = make(map[string][]float64)
	}
	for unit, v := range r {
		rs.runs[name][unit] = append(rs.runs[name][unit], v)
	}
}

// median returns the median of a unit of a job, or false if it was not measured.
func (rs *results) median(name, unit string) (float64, bool) {
	values := slices.Sorted(slices.Values(rs.runs[name][unit]))
	n := len(values)
	if n == 0 {
		return 0, false
	}
	return (values[(n-1)/2] + values[n/2]) / 2, true
}

// lowerIsBetter are the units of which less is better. Of all others, more is better.
var lowerIsBetter = []string{
	unitP50, unitP99, unitAckP50, unitWrote, unitDisk, unitCPU, unitMemory, unitTime, unitLate,
	unitSpace, unitOfReading, unitWakeUps, unitWroteBytes, unitRead,
}

// write writes the runs in Go's benchmark format, which benchstat reads.
func (rs *results) write(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "goos: %s\ngoarch: %s\ncpu: %s\n", runtime.GOOS, runtime.GOARCH, processor())
	for _, unit := range lowerIsBetter {
		fmt.Fprintf(b, "Unit %s better=lower\n", unit)
	}
	for _, name := range rs.names {
		units := slices.Sorted(maps.Keys(rs.runs[name]))
		for i := range rs.runs[name][units[0]] {
			fmt.Fprintf(b, "Benchmark%s 1", name)
			for _, unit := range units {
				fmt.Fprintf(b, " %g %s", rs.runs[name][unit][i], unit)
			}
			fmt.Fprintln(b)
		}
	}
	return b.Flush()
}

// processor is the kernel's name of the processor.
func processor() string {
	data, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(data)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimSpace(strings.TrimLeft(name, "\t :"))
		}
	}
	return "unknown"
}

// saveAll writes the runs, the tables and the plots into a directory.
func saveAll(dir string, rs *results) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, write := range map[string]func(io.Writer) error{
		"results.txt": rs.write, "tables.md": rs.print,
	} {
		if err := toFile(filepath.Join(dir, name), write); err != nil {
			return err
		}
	}
	return rs.plot(dir)
}

func toFile(name string, write func(io.Writer) error) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return write(f)
}
