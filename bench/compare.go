package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"text/tabwriter"

	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchmath"
)

// errWorse: the new file of results is worse than the old one.
var errWorse = errors.New("something became worse")

// significance is the probability at which a difference counts as noise (as in benchstat).
const significance = 0.05

// minRuns is how many runs each file must have, so that a difference can be significant at
// all.
const minRuns = 4

// series is what one file has of one unit of one benchmark.
type series struct{ name, unit string }

// compare prints, as benchstat would, how medians have changed from one file of results to
// another. It fails if one is worse by more than the tolerance, and the difference is not
// noise. Files may come from -save or from go test -bench.
func compare(w io.Writer, oldFile, newFile string, tolerance float64) error {
	older, order, better, err := readResults(oldFile)
	if err != nil {
		return err
	}
	newer, _, _, err := readResults(newFile)
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "old\tnew\tchange\tp\t\tunit\tbenchmark\t")
	worse, few := 0, 0
	for _, s := range order {
		before, after := older[s], newer[s]
		if len(after) == 0 {
			continue
		}
		if min(len(before), len(after)) < minRuns {
			few++
		}
		a := benchmath.NewSample(before, &benchmath.DefaultThresholds)
		b := benchmath.NewSample(after, &benchmath.DefaultThresholds)
		c := benchmath.AssumeNothing.Compare(a, b)
		from := benchmath.AssumeNothing.Summary(a, 0.95).Center
		to := benchmath.AssumeNothing.Summary(b, 0.95).Center
		change := 0.0
		if from != 0 {
			change = to/from - 1
		}
		note := ""
		if loss := change * float64(better[s.unit]); c.P < significance {
			note = "~"
			if math.Abs(change) > tolerance {
				note = "better"
				if loss < 0 {
					note = "WORSE"
					worse++
				}
			}
		}
		fmt.Fprintf(t, "%s\t%s\t%+.1f%%\t%.3f\t%s\t%s\t%s\t\n", number(from), number(to), 100*change, c.P, note, s.unit, s.name)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if few > 0 {
		fmt.Fprintf(w, "%d of %d had fewer than %d runs on a side: nothing can be told of them\n", few, len(order), minRuns)
	}
	if worse > 0 {
		return fmt.Errorf("%w: %d medians by more than %.0f%%", errWorse, worse, 100*tolerance)
	}
	return nil
}

// readResults reads a file in Go's benchmark format. better is 1 for units of which more is
// better, and -1 for the others.
func readResults(name string) (values map[series][]float64, order []series, better map[string]int, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	values, better = make(map[series][]float64), make(map[string]int)
	in := benchfmt.NewReader(f, name)
	for in.Scan() {
		switch line := in.Result().(type) {
		case *benchfmt.SyntaxError:
			return nil, nil, nil, line
		case *benchfmt.Result:
			for _, v := range line.Values {
				s := series{string(line.Name), v.Unit}
				if values[s] == nil {
					order = append(order, s)
				}
				values[s] = append(values[s], v.Value)
				better[s.unit] = 1
				if slices.Contains(lowerIsBetter, v.Unit) || slices.Contains(lowerIsBetter, v.OrigUnit) || isTimeOrSpace(v.Unit) {
					better[s.unit] = -1
				}
			}
		}
	}
	return values, order, better, in.Err()
}

// isTimeOrSpace says that less is better for a unit that go test has measured.
func isTimeOrSpace(unit string) bool {
	return slices.Contains([]string{"sec/op", "ns/op", "B/op", "allocs/op"}, unit)
}
