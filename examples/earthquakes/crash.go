package main

import (
	"math/rand/v2"
	"os"
	"sync/atomic"
	"time"
)

// crasher kills the process at a random moment after a number of batches became durable.
// The kill is hard: the process cannot tidy up.
type crasher struct {
	after int64 // 0: never
	seen  atomic.Int64
}

// durable is called after each batch of the ingest or of the pipeline.
func (c *crasher) durable() {
	if c.seen.Add(1) != c.after {
		return
	}
	time.AfterFunc(rand.N(3*time.Millisecond), func() {
		if p, err := os.FindProcess(os.Getpid()); err == nil {
			_ = p.Kill()
		}
	})
}
