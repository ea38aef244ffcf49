package main

import (
	"fmt"
	"slices"
	"time"
)

// scale is how much work is done.
type scale struct {
	rounds   int
	duration time.Duration // of works that are measured by time
	bulk     uint64
	flow     uint64
	keys     uint64
	upserts  uint64
	log      uint64 // records in the log before a crash
	streams  int
	batches  int
	growth   []uint64
	lookup   uint64 // keys of one Lookup
	idle     time.Duration
}

// In the full scale, the log holds a gibibyte: a record takes 140 bytes in it.
var (
	full = scale{
		rounds: 5, duration: time.Second, bulk: 3_000_000, flow: 2_000_000, keys: 1_000_000, upserts: 20_000_000,
		log: 7_700_000, streams: 10_000, batches: 100_000,
		growth: []uint64{1_000_000, 10_000_000, 100_000_000}, lookup: 65_536, idle: 10 * time.Second,
	}
	quick = scale{
		rounds: 1, duration: time.Second / 2, bulk: 300_000, flow: 300_000, keys: 100_000, upserts: 3_000_000,
		log: 770_000, streams: 1_000, batches: 5_000,
		growth: []uint64{100_000, 1_000_000}, lookup: 6_554, idle: 2 * time.Second,
	}
)

// step is a job of the plan.
type step struct {
	job
	store string // name of the store; "" is a new store for this job alone
	fresh bool   // the store is removed before
	last  bool   // and after
	once  bool   // in the first round only
	setUp bool   // it measures nothing
}

// plan returns the steps of one round. Systems that are compared follow one another.
func (s scale) plan() []step {
	var steps []step
	all := []string{"tidemark", "raw", "raw-filled", "pebble", "badger", "bbolt", "wal", "jetstream"}
	add := func(st step) { steps = append(steps, st) }

	for _, writers := range []int{1, 16, 64} {
		for _, system := range all {
			add(step{job: job{Work: "Write", System: system, Writers: writers, Duration: s.duration}})
		}
	}
	for _, system := range []string{"tidemark", "pebble", "jetstream"} {
		add(step{job: job{Work: "Pipelined", System: system, InFlight: 1000, Duration: s.duration}})
	}

	for _, system := range []string{"tidemark", "tidemark-typed", "raw", "pebble", "badger", "wal", "jetstream"} {
		store := "bulk-" + system
		add(step{job: job{Work: "Bulk", System: system, Records: s.bulk}, store: store, fresh: true})
		if system == "tidemark" {
			add(step{job: job{Work: "Scan", System: "tidemark-raw", Records: s.bulk}, store: store})
		}
		add(step{job: job{Work: "Scan", System: system, Records: s.bulk}, store: store, last: true})
	}
	// A tree whose pages are written in place takes very long, so it gets a tenth of the
	// records.
	add(step{job: job{Work: "Bulk", System: "bbolt", Records: s.bulk / 10}, store: "bulk-bbolt", fresh: true})
	add(step{job: job{Work: "Scan", System: "bbolt", Records: s.bulk / 10}, store: "bulk-bbolt", last: true})

	for _, writers := range []int{1, 16} {
		for _, system := range []string{"tidemark", "badger", "jetstream"} {
			add(step{job: job{Work: "Listen", System: system, Writers: writers, Duration: s.duration}})
		}
	}
	for _, listeners := range []int{0, 1000} {
		for _, system := range []string{"tidemark-typed", "tidemark"} {
			add(step{job: job{Work: "FanOut", System: system, Listeners: listeners, Pace: 10_000, Duration: 3 * s.duration}})
		}
	}

	add(step{job: job{Work: "Finished", System: "tidemark", Records: s.flow}, store: "flow", once: true, setUp: true})
	for _, system := range []string{"tidemark", "go-streams"} {
		add(step{job: job{Work: "Flow", System: system, Records: s.flow}, store: "flow"})
	}
	add(step{job: job{Work: "Pipeline", System: "tidemark", Records: s.flow}, store: "flow"})

	add(step{job: job{Work: "Upsert", System: "tidemark", Keys: s.keys, Records: s.upserts}})

	add(step{job: job{Work: "Crash", System: "tidemark", Records: s.log}, store: "crash", once: true, setUp: true})
	add(step{job: job{Work: "Recover", System: "tidemark", Records: s.log}, store: "crash"})
	add(step{job: job{Work: "ManyStreams", System: "tidemark", Streams: s.streams, Batches: s.batches}, store: "many", once: true, setUp: true})
	add(step{job: job{Work: "OpenMany", System: "tidemark", Streams: s.streams}, store: "many"})
	for _, system := range []string{"tidemark", "nothing"} {
		add(step{job: job{Work: "Idle", System: system, Streams: s.streams, Duration: s.idle}, store: "many"})
	}

	for i, n := range s.growth {
		store := fmt.Sprintf("growth-%d", n)
		grow := func(st step) {
			st.store, st.once = store, n == slices.Max(s.growth)
			add(st)
		}
		grow(step{job: job{Work: "Bulk", System: "tidemark", Records: n}, fresh: true})
		grow(step{job: job{Work: "Scan", System: "tidemark", Records: n}})
		if i < 2 {
			steps = append(steps, s.keySteps(n, store, i == 0)...)
		}
		grow(step{job: job{Work: "Write", System: "tidemark", From: n, Writers: 64, Duration: s.duration}, last: true})
	}
	return steps
}

// keySteps reads n records by keys: from a store of Tidemark that the plan has set up, and
// from one of Pebble. Single keys and ranges are read if isWhole.
func (s scale) keySteps(n uint64, store string, isWhole bool) []step {
	once := n == slices.Max(s.growth)
	pebbles := fmt.Sprintf("compacted-%d", n)
	steps := []step{
		{job: job{Work: "Sealed", System: "tidemark", Records: n}, store: store, once: once, setUp: true},
		{job: job{Work: "Compacted", System: "pebble", Records: n}, store: pebbles, once: true, setUp: true},
	}
	add := func(j job) {
		j.Records, j.Duration = n, s.duration
		st := step{job: j, store: store, once: once}
		if j.System != "tidemark" {
			st.store = pebbles
		}
		steps = append(steps, st)
	}
	for _, system := range []string{"tidemark", "pebble"} {
		add(job{Work: "Lookup", System: system, Keys: s.lookup})
	}
	if !isWhole {
		return steps
	}
	for _, work := range []string{"Get", "GetAbsent"} {
		for _, state := range []string{statePages, stateWarm} {
			for _, system := range []string{"tidemark", "pebble", "pebble-iterator"} {
				add(job{Work: work, System: system, State: state})
			}
		}
	}
	for _, system := range []string{"tidemark", "pebble"} {
		add(job{Work: "Range", System: system})
	}
	return steps
}
