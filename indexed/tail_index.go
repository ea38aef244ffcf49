package indexed

import (
	"slices"
	"sync"

	"github.com/tidemark-go/tidemark/indexed/internal/part"
	"github.com/tidemark-go/tidemark/storage"
)

// tailIndex has the rows of a stream's tail in sorted order, so that they are found by their
// keys. Nobody who does not read by keys pays for it: it is made, and made longer, when
// somebody asks.
//
// All snapshots of a stream that begin with the same chunk have one index. When chunks are
// dropped from the tail, later snapshots get another one. So an index never has rows that a
// snapshot has in batches, and it holds no memory of a tail that is gone.
//
// It is a list of sorted runs, by position, of which each one is at least twice as large as
// the next. So a row is sorted once and merged log(n) times, and a read looks at log(n) runs.
// Runs have packed chunks alone: those that are still loose are at most packBytes, and every
// snapshot sorts them for itself.
//
// It takes 16 bytes for each row of the tail.
type tailIndex struct {
	mu   sync.Mutex
	runs []tailRun // guarded by mu
}

// tailRun is the rows of some chunks that follow one another.
type tailRun struct {
	through storage.SeqNo // the last position of them
	run     *part.Run
}

func newTailRun(chunks []tailChunk) tailRun {
	return tailRun{chunks[len(chunks)-1].through, part.NewRun(columnsOf(chunks))}
}

// last returns the last position that the runs have, 0 if there are none.
func (x *tailIndex) last() storage.SeqNo {
	if n := len(x.runs); n > 0 {
		return x.runs[n-1].through
	}
	return 0
}

// of returns sorted runs with the rows of a tail, and of nothing else. It blocks while another
// goroutine sorts.
func (x *tailIndex) of(t *tail) (runs []*part.Run) {
	if len(t.loose) > 0 {
		defer func() { runs = append(runs, newTailRun(t.loose).run) }()
	}
	packed := slices.Concat(slices.Concat(t.full...), t.open)
	if len(packed) == 0 {
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if packed[len(packed)-1].through < x.last() {
		// The snapshot is older than the index, and is not worth an index of its own.
		return []*part.Run{newTailRun(packed).run}
	}
	after := x.last()
	if n := slices.IndexFunc(packed, func(c tailChunk) bool { return c.through > after }); n >= 0 {
		x.runs = append(x.runs, newTailRun(packed[n:]))
		x.merge()
	}
	for i := range x.runs {
		runs = append(runs, x.runs[i].run)
	}
	return runs
}

// merge restores the order of sizes.
func (x *tailIndex) merge() {
	for n := len(x.runs); n > 1; n-- {
		a, b := &x.runs[n-2], &x.runs[n-1]
		if a.run.Len() >= 2*b.run.Len() {
			return
		}
		x.runs[n-2] = tailRun{b.through, a.run.Merge(b.run)}
		x.runs = x.runs[:n-1]
	}
}
