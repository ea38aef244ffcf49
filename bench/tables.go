package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
)

// print prints all that was measured as tables, and then the goals.
func (rs *results) print(w io.Writer) error {
	p := &printer{w: w}
	p.f("%s, %d processors, %s/%s, %s\n", processor(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	for _, work := range rs.works() {
		rs.printWork(p, work)
	}
	rs.printGoals(p)
	return p.err
}

// printer keeps the first error of a write.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) f(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

// works are the names of jobs without their system, in order.
func (rs *results) works() []string {
	var works []string
	for _, name := range rs.names {
		if work, _ := splitName(name); !slices.Contains(works, work) {
			works = append(works, work)
		}
	}
	return works
}

// splitName takes the system out of the name of a job.
func splitName(name string) (work, system string) {
	before, rest, _ := strings.Cut(name, "/system=")
	system, after, found := strings.Cut(rest, "/")
	if found {
		after = "/" + after
	}
	return before + after, system
}

func joinName(work, system string) string {
	before, after, found := strings.Cut(work, "/")
	if found {
		after = "/" + after
	}
	return before + "/system=" + system + after
}

// unitOrder is the order of columns.
var unitOrder = []string{
	unitRate, unitSettled, unitCold, unitWarm, unitMB, unitP50, unitP99, unitAckP50, unitLate, unitTime, unitReading, unitOfReading, unitLogMB,
	unitBatches, unitSteady, unitSpace, unitWrote, unitDisk, unitWakeUps, unitWroteBytes, unitRead, unitCPU, unitMemory,
}

// printWork prints the table of a work: medians, and how far Tidemark is ahead in the first
// column.
func (rs *results) printWork(p *printer, work string) {
	var systems []string
	for _, name := range rs.names {
		if w, system := splitName(name); w == work {
			systems = append(systems, system)
		}
	}
	var units []string
	for _, unit := range unitOrder {
		if slices.ContainsFunc(systems, func(s string) bool {
			_, ok := rs.median(joinName(work, s), unit)
			return ok
		}) {
			units = append(units, unit)
		}
	}
	p.f("\n### %s\n\n| system | Tidemark is |", work)
	for _, unit := range units {
		p.f(" %s |", unit)
	}
	p.f("\n| --- | ---: |%s\n", strings.Repeat(" ---: |", len(units)))
	ours, known := rs.median(joinName(work, "tidemark"), units[0])
	for _, system := range systems {
		p.f("| %s |", system)
		theirs, ok := rs.median(joinName(work, system), units[0])
		if known && ok && system != "tidemark" && theirs > 0 && ours > 0 {
			ratio := ours / theirs
			if slices.Contains(lowerIsBetter, units[0]) {
				ratio = theirs / ours
			}
			p.f(" %.2f x |", ratio)
		} else {
			p.f(" |")
		}
		for _, unit := range units {
			if v, ok := rs.median(joinName(work, system), unit); ok {
				p.f(" %s |", number(v))
			} else {
				p.f(" |")
			}
		}
		p.f("\n")
	}
}

// number prints three significant digits.
func number(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v >= 1e6:
		return fmt.Sprintf("%.2f M", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.1f k", v/1e3)
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
