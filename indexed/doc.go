// Package indexed is the engine. It works with bytes, streams and times, and knows neither
// Go types nor go-streams. Package persist puts types on top of it, and no other package
// imports it.
//
// An [Engine] owns a location. The log is the truth: every change is one entry of it, and
// the state is what the entries give when they are applied in order. Batches and the
// manifest are a cache of that state. They exist so that the log can be truncated.
//
//	Submit -> queue -> decide -> log -> apply -> tail, listeners, answers
//	  (request.go)  (plan.go, committer.go)        |
//	                                               v  in the background (maintain.go)
//	              +-- sealed ---> trace batches ---+-- merged by level (merge.go)
//	     tail ----+                     ^
//	              |                     | moved once they are sealed (move.go)
//	              +-- the rest -> unsealed batches
//	                              (flush.go)
//
// A snapshot (snapshot.go) refers to immutable batches and immutable chunks of the tail. A
// listener (listener.go) is a cursor into the log; the newest events are in a window in
// memory (window.go). A [Follower] (follow.go) computes the same state in another process.
//
// Five files begin with an essay that gives the reasons:
//
//   - committer.go: how commands become durable;
//   - choose.go: which batches are merged, and how much space that bounds;
//   - lifecycle.go: what a runtime still does, and how it ends;
//   - recover.go: what an opening reads, checks and replays;
//   - window.go: how listeners get their events.
//
// Package internal/part is below the engine. It works with bytes alone: encoded updates,
// sorted rows, Parquet parts and their cache. Package internal/wire has the encodings of
// messages. Both import nothing of this package.
//
// docs/format.md describes what is on disk. docs/design.md is the summary of the design,
// with a map of the files.
package indexed
