package storagetest

import (
	"runtime"
	"sync"
)

// step keeps a writer in step with readers that loop beside it. So a test of the two does
// not depend on how goroutines are scheduled: without it the writer may finish before a
// reader has begun. The two still overlap, because a reader is always in the middle of a
// round.
type step struct {
	mu      sync.Mutex
	changed sync.Cond   // signalled when rounds change; uses mu
	rounds  map[int]int // how many rounds each reader has done; not of readers that have left
}

// newStep returns a step for readers 0 to n-1. Each of them must call leave.
func newStep(n int) *step {
	s := &step{rounds: make(map[int]int)}
	s.changed.L = &s.mu
	for i := range n {
		s.rounds[i] = 0
	}
	return s
}

// round says that a reader has done one more round. It lets other goroutines run, so that
// looping readers do not occupy the only processor.
func (s *step) round(reader int) {
	s.mu.Lock()
	s.rounds[reader]++
	s.changed.Broadcast()
	s.mu.Unlock()
	runtime.Gosched()
}

// leave says that a reader does no more rounds.
func (s *step) leave(reader int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.rounds, reader)
	s.changed.Broadcast()
}

// await blocks the writer until every reader has done one more round or has left. A reader
// that fails leaves.
func (s *step) await() {
	s.mu.Lock()
	defer s.mu.Unlock()
	goals := make(map[int]int)
	for reader, rounds := range s.rounds {
		goals[reader] = rounds + 1
	}
	for s.behindLocked(goals) {
		s.changed.Wait()
	}
}

func (s *step) behindLocked(goals map[int]int) bool {
	for reader, goal := range goals {
		if rounds, there := s.rounds[reader]; there && rounds < goal {
			return true
		}
	}
	return false
}
