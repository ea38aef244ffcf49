package concurrent_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/tidemarktest/concurrent"
)

// Record a load on a store and verify what its clients have seen. In a test, Run
// does both.
func ExampleRecord() {
	registry := mem.NewRegistry()
	options := concurrent.Options{Seed: 1, Operations: 300}
	history, err := concurrent.Record(context.Background(), concurrent.Store{
		Open: func(ctx context.Context) (*persist.Client, error) {
			return registry.Runtime(ctx, persist.Config{})
		},
		OpenRead: func(ctx context.Context) (*persist.ReadClient, error) {
			return registry.ReadRuntime(ctx, persist.Config{})
		},
	}, options)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("tails:", len(history.Tails) >= 20)
	err = concurrent.Verify(history, options)
	if errors.Is(err, concurrent.ErrVoid) {
		err = nil // nothing was wrong, but the run did too little to count
	}
	fmt.Println("violations:", err)
	// Output:
	// tails: true
	// violations: <nil>
}

// Check the tail that a reader of your own pipeline has got.
func ExampleCheckTails() {
	ctx := context.Background()
	db, err := mem.NewRegistry().Runtime(ctx, persist.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = db.Close() }()
	write, read, err := persist.CreateOrLoad(ctx, db, "quakes", codec.String, codec.Uint64)
	if err != nil {
		fmt.Println(err)
		return
	}
	var clock atomic.Int64
	tick := func() int64 { return clock.Add(1) }

	// The reader.
	tails := make(chan concurrent.Tail)
	listening := make(chan struct{})
	go func() {
		ticks := 0
		tail, err := concurrent.RecordTail(ctx, read, func() int64 {
			if ticks++; ticks == 3 { // it has its snapshot and asks for the first event
				close(listening)
			}
			return tick()
		}, func(e concurrent.Event) bool { return e.Sealed.IsEmpty() })
		if err != nil {
			fmt.Println(err)
		}
		tails <- tail
	}()
	<-listening

	// The writer: what it does and what it is told go to the history.
	var history concurrent.History
	for day := range uint64(3) {
		updates := []persist.Update[string, uint64]{{Key: "us", Val: 40 + day, Time: day, Diff: 1}}
		encoded, err := concurrent.Encoded(codec.String, codec.Uint64, updates)
		if err != nil {
			fmt.Println(err)
		}
		lower, upper := frontier.At(day), frontier.At(day+1)
		c := concurrent.Command{Call: tick(), Effects: []concurrent.Effect{{Stream: "quakes", Expected: &lower, Updates: encoded, Seal: &upper}}}
		c.SeqNo, c.Err = write.CompareAndAppend(ctx, updates, lower, upper).Wait(ctx)
		c.Return, c.Outcome = tick(), concurrent.OutcomeOf(c.Err)
		history.Commands = append(history.Commands, c)
	}
	end := frontier.Empty()
	c := concurrent.Command{Call: tick(), Effects: []concurrent.Effect{{Stream: "quakes", Seal: &end}}}
	c.SeqNo, c.Err = write.Finish(ctx).Wait(ctx)
	c.Return, c.Outcome = tick(), concurrent.OutcomeOf(c.Err)
	history.Commands = append(history.Commands, c)
	history.Tails = append(history.Tails, <-tails)
	fmt.Println("as it was:", concurrent.CheckTails(&history))

	// The same, had the reader lost an event.
	events := history.Tails[0].Events
	history.Tails[0].Events = append(events[:2:2], events[3:]...)
	err = concurrent.CheckTails(&history)
	fmt.Println("violated:", errors.Is(err, concurrent.ErrViolated))
	// Output:
	// as it was: <nil>
	// violated: true
}
