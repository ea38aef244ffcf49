package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// Every system gives back what it was given, also after it was closed and opened.
func TestStoresKeepRecords(t *testing.T) {
	for _, system := range systems {
		t.Run(system.name, func(t *testing.T) {
			dir := t.TempDir()
			s, err := system.open(dir)
			if err != nil {
				t.Fatal(err)
			}
			const single, batched = 50, 2000
			var rec record
			for i := range uint64(single) {
				rec.fill(i)
				if err := s.put(&rec); err != nil {
					t.Fatal(err)
				}
			}
			if err := load(s, single, batched); err != nil {
				t.Fatal(err)
			}
			want := digestOf(single + batched)
			check := func(when string) {
				t.Helper()
				var d digest
				if err := s.scan(d.add); err != nil {
					t.Fatal(err)
				}
				if d != want {
					t.Errorf("%s: %d records with digest %x, want %d with %x", when, d.n, d.sum, want.n, want.sum)
				}
			}
			check("as written")
			if err := s.settle(); err != nil {
				t.Fatal(err)
			}
			check("settled")
			if err := s.close(); err != nil {
				t.Fatal(err)
			}
			if s, err = system.open(dir); err != nil {
				t.Fatal(err)
			}
			check("opened again")
			if err := s.close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// A digest notices what is missing, doubled, or of another key or value.
func TestDigestNotices(t *testing.T) {
	want := digestOf(100)
	rs := records(0, 100)
	for name, damage := range map[string]func() []record{
		"missing": func() []record { return rs[:99] },
		"other":   func() []record { return append(records(0, 99), records(100, 1)...) },
		"swapped value": func() []record {
			bad := records(0, 100)
			bad[7].val[0] ^= 1
			return bad
		},
	} {
		var d digest
		for _, r := range damage() {
			d.add(r.key[:], r.val[:])
		}
		if d == want {
			t.Errorf("%s: not noticed", name)
		}
	}
}

// An order has the records with the given numbers, sorted by their keys.
func TestOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const n = 100
	o := orderOf(someNumbers(rng, n, n))
	if !slices.IsSortedFunc(o.keys, bytes.Compare) {
		t.Error("not sorted")
	}
	if got, want := o.digest(0, n), digestOf(n); got != want {
		t.Errorf("digest %x of %d records, want %x of %d", got.sum, got.n, want.sum, want.n)
	}
	var rec, eighth record
	for i := range uint64(n) {
		if rec.fill(i); bytes.Equal(rec.key[:], o.keys[7]) {
			eighth = rec
		}
	}
	var want digest
	want.add(eighth.key[:], eighth.val[:])
	if got := o.digest(7, 8); got != want {
		t.Errorf("digest %x of a record, want %x", got.sum, want.sum)
	}
}

// Every work runs, at a size at which its figures say nothing.
func TestWorks(t *testing.T) {
	small := scale{
		rounds: 1, duration: 20_000_000, bulk: 20_000, flow: 5_000, keys: 1_000, upserts: 40_000, log: 10_000,
		streams: 20, batches: 60, growth: []uint64{10_000, 20_000}, lookup: 500, idle: 20_000_000,
	}
	temp := t.TempDir()
	out := newResults(small)
	for _, st := range small.plan() {
		if st.Work == "Crash" {
			continue // it kills its process
		}
		if st.Work == "Recover" {
			st.store, st.System = "recover", "tidemark"
			s, err := openForm(filepath.Join(temp, st.store), longLog, asBytes)
			if err != nil {
				t.Fatal(err)
			}
			if err := load(s, 0, st.Records); err != nil {
				t.Fatal(err)
			}
			if err := s.close(); err != nil {
				t.Fatal(err)
			}
		}
		r, err := st.do(temp, func(j job) (result, error) { return works[j.Work](j) })
		if err != nil {
			t.Fatalf("%s: %v", st.name(), err)
		}
		if !st.setUp {
			out.add(st.name(), r)
		}
	}
	for _, g := range small.goals() {
		if _, ok := g.figure(out); !ok {
			t.Errorf("goal %d (%s): no figure", g.number, g.what)
		}
	}
	dir := filepath.Join(temp, "saved")
	if err := saveAll(dir, out); err != nil {
		t.Fatal(err)
	}
	for _, c := range small.charts() {
		if data, err := os.ReadFile(filepath.Join(dir, c.file)); err != nil || !bytes.Contains(data, []byte("<svg")) {
			t.Errorf("%s: %v", c.file, err)
		}
	}
	if _, order, _, err := readResults(filepath.Join(dir, "results.txt")); err != nil || len(order) < 100 {
		t.Errorf("results.txt has %d series, %v", len(order), err)
	}
}

// Comparing finds what became worse, and nothing else.
func TestCompare(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, rate, p50 float64) string {
		rs := newResults(quick)
		for i := range 6 {
			noise := 1 + float64(i)/1000
			rs.add("Write/system=tidemark/writers=1", result{unitRate: rate * noise, unitP50: p50 * noise})
		}
		path := filepath.Join(dir, name)
		if err := toFile(path, rs.write); err != nil {
			t.Fatal(err)
		}
		return path
	}
	before := file("before", 1000, 50)
	for name, c := range map[string]struct {
		rate, p50 float64
		worse     bool
	}{
		"same":     {1000, 50, false},
		"noise":    {950, 52, false},
		"better":   {2000, 20, false},
		"slower":   {800, 50, true},
		"latency":  {1000, 80, true},
		"both up":  {2000, 80, true},
		"half the": {1000, 25, false},
	} {
		var out strings.Builder
		err := compare(&out, before, file("after", c.rate, c.p50), 0.1)
		if (err != nil) != c.worse {
			t.Errorf("%s: %v\n%s", name, err, out.String())
		}
	}
}

// BenchmarkWrite is the work of Write for go test -bench: durable writes of one record.
func BenchmarkWrite(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		ofEach(b, fmt.Sprintf("/writers=%d", writers), recordSize, func(b *testing.B, s store) error {
			var next atomic.Int64
			b.ResetTimer()
			return together(writers, func(int) error {
				var rec record
				for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
					rec.fill(uint64(i))
					if err := s.put(&rec); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
}

// BenchmarkBulk is the work of Bulk: an operation is a durable batch of 1,000 records.
func BenchmarkBulk(b *testing.B) {
	ofEach(b, "", bulkBatch*recordSize, func(b *testing.B, s store) error {
		b.ResetTimer()
		return errors.Join(load(s, 0, uint64(b.N)*bulkBatch), s.settle())
	})
}

// BenchmarkScan is the work of Scan: an operation is a record that is read.
func BenchmarkScan(b *testing.B) {
	const n = 100_000
	ofEach(b, "", recordSize, func(b *testing.B, s store) error {
		if err := errors.Join(load(s, 0, n), s.settle()); err != nil {
			return err
		}
		b.ResetTimer()
		for read := 0; read < b.N; read += n {
			var d digest
			if err := s.scan(d.add); err != nil {
				return err
			}
			if d.n != n {
				return fmt.Errorf("read %d records of %d", d.n, n)
			}
		}
		return nil
	})
}

// ofEach runs a benchmark on a new store of each system; an operation is so many bytes.
func ofEach(b *testing.B, suffix string, bytes int64, run func(b *testing.B, s store) error) {
	for _, system := range systems {
		b.Run("system="+system.name+suffix, func(b *testing.B) {
			s, err := system.open(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = s.close() }()
			b.SetBytes(bytes)
			b.ReportAllocs()
			if err := run(b, s); err != nil {
				b.Fatal(err)
			}
		})
	}
}
