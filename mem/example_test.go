package mem_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/storage"
)

// A place outlives its handles: closing and opening again is a restart.
func ExamplePlace() {
	ctx := context.Background()
	place := mem.NewPlace("orders")
	importer := storage.LockInfo{Owner: "importer"}

	log, err := place.OpenLog(importer)
	if err != nil {
		panic(err)
	}
	positions, err := log.Append(ctx, 0, [][]byte{[]byte("first"), []byte("second")})
	fmt.Println(positions, err)
	_, err = place.OpenLog(storage.LockInfo{Owner: "somebody else"})
	fmt.Println(err)

	log, err = place.OpenLog(importer)
	if err != nil {
		panic(err)
	}
	for entry, err := range log.Read(ctx, positions[0]) {
		fmt.Println(entry.SeqNo, string(entry.Data), err)
	}
	fmt.Println(log.Close())
	// Output:
	// [1 2] <nil>
	// storage: location "orders" is locked by importer: stop it, or open another location
	// 2 second <nil>
	// <nil>
}

// A crash in the middle of an append keeps some of its entries.
func ExamplePlace_Crash() {
	ctx := context.Background()
	place := mem.NewPlace("orders")
	log, err := place.OpenLog(storage.LockInfo{})
	if err != nil {
		panic(err)
	}

	held := place.HoldFlushes()
	done := make(chan error)
	go func() {
		_, err := log.Append(ctx, 0, [][]byte{[]byte("first"), []byte("second"), []byte("third")})
		done <- err
	}()
	fmt.Println(held.Wait(ctx, 1))
	place.Crash(func(mem.Op, int) int { return 2 })
	fmt.Println(errors.Is(<-done, mem.ErrCrashed))

	reader := place.OpenLogReader()
	bounds, err := reader.Bounds(ctx)
	fmt.Println(bounds.Last, err)
	// Output:
	// <nil>
	// true
	// 2 <nil>
}

// A fault may strike after the operation has happened: only its answer is lost.
func ExampleUnreliable() {
	ctx := context.Background()
	place, unreliable := mem.NewPlace("orders"), mem.NewUnreliable()
	opened, err := place.OpenBlob(storage.LockInfo{})
	if err != nil {
		panic(err)
	}
	blob := unreliable.Blob(opened)

	unreliable.SetDown()
	_, err = blob.Set(ctx, "a", []byte("v"))
	fmt.Println(err, errors.Is(err, storage.ErrNoEffect))
	unreliable.SetUp()

	unreliable.Inject(mem.Fault{Op: mem.OpSet, Outcome: mem.AnswerLost})
	_, err = blob.Set(ctx, "a", []byte("v"))
	fmt.Println(err, errors.Is(err, storage.ErrNoEffect))
	value, _, err := blob.Get(ctx, "a")
	fmt.Println(string(value), err)
	// Output:
	// unavailable: blob set true
	// timed out: blob set false
	// v <nil>
}
