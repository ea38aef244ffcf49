// Package indexed is the engine: it knows bytes, streams and times, and nothing of
// Go types or of go-streams. Package persist puts types on top of it; nobody else
// imports it.
//
// An [Engine] owns a location. Its truth is the log: every mutation is one entry,
// and the state is a function of the entries, applied in order. Batches and the
// manifest are a cache of the state that lets the log be truncated.
//
//	Submit -> queue -> decide -> log -> apply -> tail, listeners, answers
//	                  (plan.go, commit.go)          |
//	                                                v  in the background (maintain.go)
//	              +-- sealed ---> trace batches ----+-- merged by level (compact.go)
//	     tail ----+
//	              +-- the rest -> unsealed batches, until they are sealed
//	                              (flush.go)
//
// A snapshot (snapshot.go) is a pointer to immutable batches and chunks. A listener
// (listener.go) is a cursor into the log, with a window of recent events in memory. A
// [Follower] (follow.go) computes the same state in another process.
//
// What is on disk is in docs/format.md, why it is right in docs/design.md.
package indexed
