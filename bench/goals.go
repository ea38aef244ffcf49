package main

import "fmt"

// goal is a figure that Tidemark has to reach.
type goal struct {
	number int
	what   string
	least  float64 // or more; 0 if most counts
	most   float64 // or less
	figure func(rs *results) (float64, bool)
}

// value is the median of one unit of one job.
func value(work, system, unit string) func(*results) (float64, bool) {
	return func(rs *results) (float64, bool) { return rs.median(joinName(work, system), unit) }
}

// quotient is a by b, if both were measured.
func quotient(a, b func(*results) (float64, bool)) func(*results) (float64, bool) {
	return func(rs *results) (float64, bool) {
		x, okX := a(rs)
		y, okY := b(rs)
		if !okX || !okY || y == 0 {
			return 0, false
		}
		return x / y, true
	}
}

// against is Tidemark's figure divided by that of another system.
func against(work, system, unit string) func(*results) (float64, bool) {
	return quotient(value(work, "tidemark", unit), value(work, system, unit))
}

// goals are those of the project, for a scale of work.
func (s scale) goals() []goal {
	bulk := fmt.Sprintf("Bulk/records=%d", s.bulk)
	scan := fmt.Sprintf("Scan/records=%d", s.bulk)
	var gs []goal
	for _, writers := range []int{1, 16, 64} {
		work := fmt.Sprintf("Write/writers=%d", writers)
		gs = append(gs,
			goal{number: 1, what: fmt.Sprintf("durable writes of one record, %s / Pebble's", writersOf(writers)), least: 1, figure: against(work, "pebble", unitRate)},
			goal{number: 1, what: fmt.Sprintf("the same / a raw file's, %s", writersOf(writers)), least: 0.9, figure: against(work, "raw", unitRate)})
	}
	gs = append(gs,
		goal{number: 2, what: "one goroutine with 1,000 futures / 64 writers", least: 5,
			figure: quotient(value("Pipelined/in-flight=1000", "tidemark", unitRate), value("Write/writers=64", "tidemark", unitRate))},
		goal{number: 3, what: "bulk / Pebble's rate", least: 3, figure: against(bulk, "pebble", unitRate)},
		goal{number: 3, what: "bulk, until nothing is left to do / Pebble's", least: 3, figure: against(bulk, "pebble", unitSettled)},
		goal{number: 3, what: "bulk, bytes written for each user byte", most: 3, figure: value(bulk, "tidemark", unitWrote)},
		goal{number: 4, what: "full snapshot, Raw, cold / Pebble's iterator", least: 4,
			figure: quotient(value(scan, "tidemark-raw", unitCold), value(scan, "pebble", unitCold))},
		goal{number: 4, what: "full snapshot, Raw, warm / Pebble's iterator", least: 4,
			figure: quotient(value(scan, "tidemark-raw", unitWarm), value(scan, "pebble", unitWarm))},
		goal{number: 4, what: "full snapshot, copies of bytes, cold / Pebble's iterator", least: 4, figure: against(scan, "pebble", unitCold)},
		goal{number: 4, what: "full snapshot, copies of bytes, warm / Pebble's iterator", least: 4, figure: against(scan, "pebble", unitWarm)},
		goal{number: 4, what: "full snapshot, typed, cold / Pebble's iterator", least: 2,
			figure: quotient(value(scan, "tidemark-typed", unitCold), value(scan, "pebble", unitCold))},
		goal{number: 4, what: "full snapshot, typed, warm / Pebble's iterator", least: 2,
			figure: quotient(value(scan, "tidemark-typed", unitWarm), value(scan, "pebble", unitWarm))})
	for _, writers := range []int{1, 16} {
		work := fmt.Sprintf("Listen/writers=%d", writers)
		gs = append(gs,
			goal{number: 5, what: fmt.Sprintf("write to received, %s / its acknowledgement", writersOf(writers)), most: 1.2,
				figure: quotient(value(work, "tidemark", unitP50), value(work, "tidemark", unitAckP50))},
			goal{number: 5, what: fmt.Sprintf("write to received, %s / JetStream's", writersOf(writers)), most: 0.5, figure: against(work, "jetstream", unitP50)})
	}
	for _, values := range []struct{ what, system string }{{"typed", "tidemark-typed"}, {"copies of bytes", "tidemark"}} {
		gs = append(gs,
			goal{number: 6, what: fmt.Sprintf("1,000 listeners, %s: the last has all after so many seconds", values.what), most: 0.5,
				figure: value("FanOut/listeners=1000", values.system, unitLate)},
			goal{number: 6, what: fmt.Sprintf("1,000 listeners, %s: the rate of writers / that without listeners", values.what), least: 0.9,
				figure: quotient(value("FanOut/listeners=1000", values.system, unitRate), value("FanOut", values.system, unitRate))})
	}
	gs = append(gs,
		goal{number: 7, what: "record mode / go-streams' channel source", least: 0.95, figure: against(fmt.Sprintf("Flow/records=%d", s.flow), "go-streams", unitRate)},
		goal{number: 8, what: "batch mode, source to sink, exactly once, updates/s", least: 1e6, figure: value(fmt.Sprintf("Pipeline/records=%d", s.flow), "tidemark", unitRate)})
	upsert := fmt.Sprintf("Upsert/records=%d/keys=%d", s.upserts, s.keys)
	gs = append(gs,
		goal{number: 9, what: "upserts: disk / live data, at most", most: 2, figure: value(upsert, "tidemark", unitSpace)},
		goal{number: 9, what: "upserts: peak memory, MiB", most: 256 + cacheSize>>20, figure: value(upsert, "tidemark", unitMemory)},
		goal{number: 9, what: "upserts: rate at the end / that at the start", least: 0.8, figure: value(upsert, "tidemark", unitSteady)},
		goal{number: 10, what: "open with a long log / reading it", most: 2.5, figure: value(fmt.Sprintf("Recover/records=%d", s.log), "tidemark", unitOfReading)},
		goal{number: 10, what: "open many streams and batches, seconds", most: 1, figure: value(fmt.Sprintf("OpenMany/streams=%d", s.streams), "tidemark", unitTime)})
	small, large := s.growth[0], s.growth[len(s.growth)-1]
	for _, g := range []struct {
		what, work, unit string
	}{
		{"writes, 64 writers", "Write/from=%d/writers=64", unitRate},
		{"bulk", "Bulk/records=%d", unitSettled},
		{"snapshot, cold", "Scan/records=%d", unitCold},
	} {
		gs = append(gs, goal{
			number: 11, what: fmt.Sprintf("cost of a record, %s, from %s to %s records", g.what, number(float64(small)), number(float64(large))), most: 1.3,
			figure: quotient(value(fmt.Sprintf(g.work, small), "tidemark", g.unit), value(fmt.Sprintf(g.work, large), "tidemark", g.unit)),
		})
	}
	idle := fmt.Sprintf("Idle/streams=%d", s.streams)
	gs = append(gs,
		goal{number: 12, what: "bulk: peak memory, MiB", most: 256 + cacheSize>>20, figure: value(bulk, "tidemark", unitMemory)},
		goal{number: 12, what: "the largest bulk: peak memory, MiB", most: 256 + cacheSize>>20, figure: value(fmt.Sprintf("Bulk/records=%d", large), "tidemark", unitMemory)},
		goal{number: 13, what: "idle: bytes written", most: 0, figure: value(idle, "tidemark", unitWroteBytes)},
		goal{number: 13, what: "idle: wake-ups / those of a process that sleeps", most: 1.5,
			figure: quotient(value(idle, "tidemark", unitWakeUps), value(idle, "nothing", unitWakeUps))})
	return append(gs, s.keyGoals()...)
}

// keyGoals are those of reads by key.
func (s scale) keyGoals() []goal {
	n := s.growth[0]
	single := func(work, state, than string) func(*results) (float64, bool) {
		return against(fmt.Sprintf("%s/records=%d/state=%s", work, n, state), than, unitP50)
	}
	gs := []goal{
		{number: 14, what: "p50 of Get, from the page cache / Pebble's", most: 2, figure: single("Get", statePages, "pebble")},
		{number: 14, what: "p50 of Get, warm / Pebble's", most: 1, figure: single("Get", stateWarm, "pebble")},
	}
	for _, state := range []struct{ what, name string }{{"from the page cache", statePages}, {"warm", stateWarm}} {
		gs = append(gs,
			goal{number: 14, what: fmt.Sprintf("p50 of Get for absent keys, %s / Pebble's with filters", state.what), most: 1.2,
				figure: single("GetAbsent", state.name, "pebble-iterator")},
			goal{number: 14, what: fmt.Sprintf("the same, %s / Pebble's Get", state.what), most: 1.2,
				figure: single("GetAbsent", state.name, "pebble")})
	}
	for i, least := range []float64{4, 2} {
		n := s.growth[i]
		gs = append(gs, goal{
			number: 15, what: fmt.Sprintf("Lookup of %s keys among %s / Pebble's rate", number(float64(s.lookup)), number(float64(n))), least: least,
			figure: against(fmt.Sprintf("Lookup/records=%d/keys=%d", n, s.lookup), "pebble", unitRate),
		})
	}
	work := fmt.Sprintf("Range/records=%d", n)
	return append(gs, goal{
		number: 16, what: "time of a range of 1,000 records, mean / Pebble's", most: 1,
		figure: quotient(value(work, "pebble", unitRate), value(work, "tidemark", unitRate)),
	})
}

func writersOf(n int) string {
	if n == 1 {
		return "1 writer"
	}
	return fmt.Sprintf("%d writers", n)
}

// printGoals prints the goals whose figures were measured.
func (rs *results) printGoals(p *printer) {
	p.f("\n### Goals\n\n| # | what | goal | reached | |\n| ---: | --- | ---: | ---: | --- |\n")
	for _, g := range rs.scale.goals() {
		v, ok := g.figure(rs)
		if !ok {
			continue
		}
		bound, met := "at least "+number(g.least), v >= g.least
		if g.least == 0 {
			bound, met = "at most "+number(g.most), v <= g.most
		}
		verdict := "yes"
		if !met {
			verdict = "**no**"
		}
		p.f("| %d | %s | %s | %s | %s |\n", g.number, g.what, bound, number(v), verdict)
	}
}
