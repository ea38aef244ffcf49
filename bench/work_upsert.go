package main

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

const (
	// upsertBehind is how many times the since stays behind the upper.
	upsertBehind = 1000
	// upsertInFlight is how many batches are on their way.
	upsertInFlight = 4
)

// runUpsert measures a table of keys that is overwritten again and again. Every update
// retracts the old value of a random key, and inserts a new one. A command has a thousand
// updates, and a time of its own.
//
// What is live is what the since can tell apart: a row for each key, and the two rows of
// each update of the last upsertBehind times.
func runUpsert(j job) (_ result, err error) {
	ctx := context.Background()
	t, err := openForm(j.Dir, persist.Config{}, asBytes)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	versions := make([]uint32, j.Keys)
	rng := rand.New(rand.NewPCG(1, 2))
	var flight []*persist.Future[storage.SeqNo]
	settleTo := func(n int) error {
		for len(flight) > n {
			if _, err := flight[0].Wait(ctx); err != nil {
				return err
			}
			flight = flight[1:]
		}
		return nil
	}
	upsert := func(at uint64, pick func(i int) uint64) error {
		updates := make([]persist.Update[[]byte, []byte], 0, 2*bulkBatch)
		for i := range bulkBatch {
			key := pick(i)
			if versions[key] > 0 {
				updates = append(updates, version(key, versions[key], at, -1))
			}
			versions[key]++
			updates = append(updates, version(key, versions[key], at, 1))
		}
		flight = append(flight, t.write.CompareAndAppend(ctx, updates, frontier.At(at), frontier.At(at+1)))
		if at > upsertBehind {
			flight = append(flight, t.write.AllowCompaction(ctx, frontier.At(at-upsertBehind)))
		}
		return settleTo(2 * upsertInFlight)
	}
	at := uint64(0)
	for ; at < j.Keys/bulkBatch; at++ {
		if err := upsert(at, func(i int) uint64 { return at*bulkBatch + uint64(i) }); err != nil {
			return nil, err
		}
	}
	m, err := startMeter(j.Dir)
	if err != nil {
		return nil, err
	}
	batches := j.Records / bulkBatch
	live := float64(j.Keys+2*min(j.Records, upsertBehind*bulkBatch)) * recordSize
	r := result{}
	began := time.Now()
	var tenths []float64
	// The table is warm when the window behind the upper is full, and as much again was
	// written.
	warm, sampled := min(2*upsertBehind, batches/2), time.Time{}
	for n := range batches {
		if err := upsert(at+n, func(int) uint64 { return rng.Uint64N(j.Keys) }); err != nil {
			return nil, err
		}
		if (n+1)%(batches/10) == 0 {
			tenths = append(tenths, time.Since(began).Seconds())
			began = time.Now()
		}
		if n > warm && time.Since(sampled) > 100*time.Millisecond {
			sampled = time.Now()
			used, err := diskUsage(j.Dir)
			if err != nil {
				return nil, err
			}
			r[unitSpace] = max(r[unitSpace], used/live)
		}
	}
	if err := settleTo(0); err != nil {
		return nil, err
	}
	r[unitSteady] = tenths[1] / tenths[len(tenths)-1]
	return r, m.stop(r, j.Records)
}

const (
	unitSpace  = "disk/live"  // the largest value seen
	unitSteady = "last/first" // the rate of the last tenth divided by that of the second
)

// version is the row of a key in one of its versions.
func version(key uint64, v uint32, at uint64, diff int64) persist.Update[[]byte, []byte] {
	var rec record
	rec.fill(key<<32 | uint64(v))
	binary.BigEndian.PutUint64(rec.key[:], mix(key))
	binary.BigEndian.PutUint64(rec.key[8:], key)
	return persist.Update[[]byte, []byte]{Key: rec.key[:], Val: rec.val[:], Time: at, Diff: diff}
}
