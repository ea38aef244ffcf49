package storagetest

import (
	"runtime"
	"sync"
)

// step keeps a writer in step with readers that loop beside it, so that a test of
// the two together does not depend on how goroutines are scheduled: without it
// the writer may be done before a reader has begun. They still overlap, because a
// reader is always in the middle of a round.
type step struct {
	mu      sync.Mutex
	changed sync.Cond   // signalled when rounds change; uses mu
	rounds  map[int]int // how many rounds each reader that is still there has done
}

// newStep returns a step for readers 0 to n-1, each of which must call leave.
func newStep(n int) *step {
	s := &step{rounds: make(map[int]int)}
	s.changed.L = &s.mu
	for i := range n {
		s.rounds[i] = 0
	}
	return s
}

// round says that a reader has done one more round. It lets others run, so that
// looping readers do not keep the only processor to themselves.
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

// await blocks the writer until every reader has done one more round, or has
// left, as it does when it fails.
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
