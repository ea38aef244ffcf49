package persist_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"slices"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// stock is a stream of articles with a shelf each, in memory.
func stock(ctx context.Context) (*persist.Client, *persist.WriteHandle[string, string], *persist.ReadHandle[string, string]) {
	client, err := mem.NewRegistry().Runtime(ctx, persist.Config{}) // or tidemark.Open
	if err != nil {
		log.Fatal(err)
	}
	write, read, err := persist.CreateOrLoad(ctx, client, "stock", codec.String, codec.String)
	if err != nil {
		log.Fatal(err)
	}
	return client, write, read
}

// A stream is written, sealed, and read: what is there, and what comes after.
func Example() {
	ctx := context.Background()
	client, write, read := stock(ctx)
	defer func() { _ = client.Close() }()

	_, err := write.Write(ctx, []persist.Update[string, string]{
		{Key: "apple", Val: "shelf 1", Time: 1, Diff: 10},
		{Key: "pear", Val: "shelf 2", Time: 1, Diff: 5},
	}).Wait(ctx)
	if err != nil {
		log.Fatal(err)
	}

	snapshot, listener, err := read.Listen(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = snapshot.Close() }()
	defer func() { _ = listener.Close() }()

	// Commands take effect in the order of the calls. Only the last is waited for.
	write.Write(ctx, []persist.Update[string, string]{{Key: "apple", Val: "shelf 1", Time: 2, Diff: -3}})
	if _, err := write.Seal(ctx, 3).Wait(ctx); err != nil {
		log.Fatal(err)
	}

	for u, err := range snapshot.Consolidated(ctx) {
		fmt.Println(u, err)
	}
	for range 2 {
		event, err := listener.Next(ctx)
		if event.Updates == nil {
			fmt.Println("complete up to", event.Sealed, err)
		} else {
			fmt.Println("then", event.Updates, err)
		}
	}
	// Output:
	// {apple shelf 1 1 10} <nil>
	// {pear shelf 2 1 5} <nil>
	// then [{apple shelf 1 2 -3}] <nil>
	// complete up to {3} <nil>
}

// Two writers want to write the same interval of times; one of them does.
func ExampleWriteHandle_CompareAndAppend() {
	ctx := context.Background()
	client, write, _ := stock(ctx)
	defer func() { _ = client.Close() }()

	for _, who := range []string{"first", "second"} {
		_, err := write.CompareAndAppend(ctx,
			[]persist.Update[string, string]{{Key: who, Time: 4, Diff: 1}},
			frontier.At(0), frontier.At(5)).Wait(ctx)
		var mismatch *persist.UpperMismatchError
		switch {
		case err == nil:
			fmt.Println(who, "wrote up to 5")
		case errors.As(err, &mismatch):
			fmt.Println(who, "goes on from", mismatch.Upper)
		default:
			log.Fatal(err)
		}
	}
	// Output:
	// first wrote up to 5
	// second goes on from {5}
}

// The log fails while a command is on its way. The command may be durable or not, so it must
// not simply be written again. Close the client, open the location again, and repeat the
// command as a CompareAndAppend: it takes effect if it has not yet, and else says so.
func ExampleWriteHandle_CompareAndAppend_outcomeUnknown() {
	ctx := context.Background()
	registry, faults := mem.NewRegistry(), mem.NewUnreliable()
	client, err := registry.RuntimeUnreliable(ctx, faults, persist.Config{}) // or tidemark.Open
	if err != nil {
		log.Fatal(err)
	}
	write, _, err := persist.CreateOrLoad(ctx, client, "stock", codec.String, codec.String)
	if err != nil {
		log.Fatal(err)
	}

	updates := []persist.Update[string, string]{{Key: "apple", Val: "shelf 1", Time: 0, Diff: 10}}
	faults.Inject(mem.Fault{Op: mem.OpAppend, Outcome: mem.AnswerLost}) // it lands, but nobody is told
	_, err = write.CompareAndAppend(ctx, updates, frontier.At(0), frontier.At(1)).Wait(ctx)
	fmt.Println("unknown:", errors.Is(err, persist.ErrOutcomeUnknown), "retryable:", persist.IsRetryable(err))

	_ = client.Close() // it takes no more writes
	client, err = registry.Runtime(ctx, persist.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	write, read, err := persist.CreateOrLoad(ctx, client, "stock", codec.String, codec.String)
	if err != nil {
		log.Fatal(err)
	}
	_, err = write.CompareAndAppend(ctx, updates, frontier.At(0), frontier.At(1)).Wait(ctx)
	var mismatch *persist.UpperMismatchError
	switch {
	case err == nil:
		fmt.Println("it had not landed, and has now")
	case errors.As(err, &mismatch) && mismatch.Upper == frontier.At(1):
		fmt.Println("it had landed")
	default:
		log.Fatal(err) // another writer was there, or the storage still fails
	}

	snapshot, err := read.Snapshot(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = snapshot.Close() }()
	contents, err := snapshot.ReadToEnd(ctx)
	fmt.Println(contents, err) // once
	// Output:
	// unknown: true retryable: false
	// it had landed
	// [{apple shelf 1 0 10}] <nil>
}

// An order and the stock it is taken from change together, or not at all.
func ExampleAtomic() {
	ctx := context.Background()
	client, stock, _ := stock(ctx)
	defer func() { _ = client.Close() }()
	orders, _, err := persist.CreateOrLoad(ctx, client, "orders", codec.Uint64, codec.String)
	if err != nil {
		log.Fatal(err)
	}

	_, err = persist.Atomic(ctx, client, func(b *persist.AtomicWrite) error {
		return errors.Join(
			persist.AddWrite(b, orders, []persist.Update[uint64, string]{{Key: 17, Val: "apple", Time: 1, Diff: 1}}),
			persist.AddWrite(b, stock, []persist.Update[string, string]{{Key: "apple", Val: "shelf 1", Time: 1, Diff: -1}}),
			persist.AddFinish(b, orders),
		)
	}).Wait(ctx)
	fmt.Println(err)
	infos, err := client.Streams(ctx)
	for _, info := range infos {
		fmt.Println(info.Name, info.Upper)
	}
	fmt.Println(err)
	// Output:
	// <nil>
	// stock {0}
	// orders {}
	// <nil>
}

// A list of streams is sealed and compacted together.
func ExampleMultiWriteHandle() {
	ctx := context.Background()
	client, stock, _ := stock(ctx)
	defer func() { _ = client.Close() }()
	orders, _, err := persist.CreateOrLoad(ctx, client, "orders", codec.Uint64, codec.String)
	if err != nil {
		log.Fatal(err)
	}
	both, err := persist.NewMultiWriteHandle(stock, orders)
	if err != nil {
		log.Fatal(err)
	}

	both.SealAll(ctx, 3)
	_, err = both.AllowCompactionAll(ctx, frontier.At(2)).Wait(ctx)
	fmt.Println(err)
	for _, name := range []string{"stock", "orders"} {
		d, err := client.Description(ctx, name)
		fmt.Println(name, d.Since, d.Upper, err)
	}
	// Output:
	// <nil>
	// stock {2} {3} <nil>
	// orders {2} {3} <nil>
}

// The contents of a snapshot can be read as they were at any time from its since on.
func ExampleSnapshot_AsOf() {
	ctx := context.Background()
	client, write, read := stock(ctx)
	defer func() { _ = client.Close() }()
	write.Write(ctx, []persist.Update[string, string]{
		{Key: "apple", Val: "shelf 1", Time: 1, Diff: 10},
		{Key: "apple", Val: "shelf 1", Time: 3, Diff: -10},
		{Key: "apple", Val: "shelf 2", Time: 3, Diff: 10},
	})
	write.AllowCompaction(ctx, frontier.At(2))

	snapshot, err := read.Snapshot(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = snapshot.Close() }()
	for _, t := range []uint64{1, 2, 3} {
		for u, err := range snapshot.AsOf(ctx, t) {
			if errors.Is(err, persist.ErrAsOfBeforeSince) {
				fmt.Println("as of", t, "is before", snapshot.Since())
				continue
			}
			fmt.Println("as of", t, u.Key, u.Val, u.Diff, err)
		}
	}
	// Output:
	// as of 1 is before {2}
	// as of 2 apple shelf 1 10 <nil>
	// as of 3 apple shelf 2 10 <nil>
}

// A key, or a range of keys, is read without reading the rest.
func ExampleSnapshot_At() {
	ctx := context.Background()
	client, write, read := stock(ctx)
	defer func() { _ = client.Close() }()
	write.Write(ctx, []persist.Update[string, string]{
		{Key: "apple", Val: "shelf 1", Time: 1, Diff: 10},
		{Key: "apple", Val: "shelf 4", Time: 1, Diff: 2},
		{Key: "banana", Val: "shelf 2", Time: 1, Diff: 5},
		{Key: "pear", Val: "shelf 3", Time: 1, Diff: 7},
		{Key: "apple", Val: "shelf 1", Time: 2, Diff: -10},
	})
	write.Seal(ctx, 3)

	snapshot, err := read.Snapshot(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = snapshot.Close() }()
	before, now := snapshot.At(1), snapshot.At(2)
	for _, view := range []*persist.View[string, string]{before, now} {
		for u, err := range view.Get(ctx, "apple") {
			fmt.Println("get", u, err)
		}
	}
	for u, err := range now.Range(ctx, "b", "c") {
		fmt.Println("range", u, err)
	}
	for u, err := range now.Lookup(ctx, slices.Values([]string{"apple", "cherry", "pear"})) {
		fmt.Println("lookup", u, err)
	}
	// Output:
	// get {apple shelf 1 1 10} <nil>
	// get {apple shelf 4 1 2} <nil>
	// get {apple shelf 4 2 2} <nil>
	// range {banana shelf 2 2 5} <nil>
	// lookup {apple shelf 4 2 2} <nil>
	// lookup {pear shelf 3 2 7} <nil>
}

// The current contents are those at the last complete time. What is written and not sealed
// is not in them.
func ExampleSnapshot_Current() {
	ctx := context.Background()
	client, write, read := stock(ctx)
	defer func() { _ = client.Close() }()
	write.Write(ctx, []persist.Update[string, string]{
		{Key: "pear", Val: "shelf 2", Time: 1, Diff: 5},
		{Key: "apple", Val: "shelf 1", Time: 1, Diff: 10},
		{Key: "apple", Val: "shelf 1", Time: 2, Diff: -3},
		{Key: "apple", Val: "shelf 1", Time: 3, Diff: -7},
	})
	write.Seal(ctx, 3)

	snapshot, err := read.Snapshot(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = snapshot.Close() }()
	for u, err := range snapshot.Current(ctx) {
		fmt.Println("as of", u.Time, u.Key, u.Val, u.Diff, err)
	}
	// Output:
	// as of 2 apple shelf 1 7 <nil>
	// as of 2 pear shelf 2 5 <nil>
}
