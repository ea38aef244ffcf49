// Package indexed is the engine. It knows bytes, streams and times, and nothing of Go
// types or of go-streams. Package persist puts types on top of it; nobody else imports it.
//
// An [Engine] owns a location. The log is the truth: every mutation is one entry of it, and
// the state follows from the entries, applied in order. Batches and the manifest are a
// cache of that state. They let the log be truncated.
//
//	Submit -> queue -> decide -> log -> apply -> tail, listeners, answers
//	       (request.go)  (plan.go, commit.go)      |
//	                                               v  in the background (maintain.go)
//	              +-- sealed ---> trace batches ---+-- merged by level (merge.go)
//	     tail ----+                     ^
//	              |                     | moved once they are sealed (move.go)
//	              +-- the rest -> unsealed batches
//	                              (flush.go)
//
// A snapshot (snapshot.go) is a pointer to immutable batches and chunks of the tail. A
// listener (listener.go) is a cursor into the log; the newest events are in a window in
// memory (window.go). A [Follower] (follow.go) computes the same state in another process.
//
// What a runtime still does, and why not the rest, is in lifecycle.go. Opening and replay
// are in recover.go.
//
// Package internal/part below has what knows only bytes: encoded updates, sorted rows,
// Parquet parts and their cache. Package internal/wire has the encodings of messages. Both
// import nothing of this package.
//
// docs/format.md says what is on disk, docs/design.md why it is right, and which file
// answers which question.
package indexed
