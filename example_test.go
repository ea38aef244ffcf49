package tidemark_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/tidemark-go/tidemark"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// A stream is written, sealed, and read as of a time that is complete.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "tidemark")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // an example's directory

	db, err := tidemark.Open(ctx, filepath.Join(dir, "shop.db"), persist.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	write, read, err := persist.CreateOrLoad(ctx, db, "stock", codec.String, codec.Unit)
	if err != nil {
		log.Fatal(err)
	}

	// At time 0 there come 3 apples and a pear, at time 2 an apple goes. Both calls return
	// when what they write has its place; it is durable when Wait returns.
	write.Write(ctx, []persist.Update[string, struct{}]{
		{Key: "apple", Time: 0, Diff: 3},
		{Key: "pear", Time: 0, Diff: 1},
		{Key: "apple", Time: 2, Diff: -1},
	})
	if _, err := write.Seal(ctx, 3).Wait(ctx); err != nil { // times 0, 1 and 2 are complete
		log.Fatal(err)
	}

	snapshot, err := read.Snapshot(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer snapshot.Close()
	for _, t := range []uint64{1, 2} {
		for u, err := range snapshot.AsOf(ctx, t) {
			fmt.Println("at", t, u.Key, u.Diff, err)
		}
	}
	// Output:
	// at 1 apple 3 <nil>
	// at 1 pear 1 <nil>
	// at 2 apple 2 <nil>
	// at 2 pear 1 <nil>
}

// The same program keeps its data on a disk or in memory, as its configuration says.
func ExampleOpen() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "tidemark")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // an example's directory

	for _, location := range []string{dir, "file://" + filepath.ToSlash(dir), "mem:shop"} {
		db, err := tidemark.Open(ctx, location, persist.Config{})
		if err != nil {
			log.Fatal(err)
		}
		write, _, err := persist.CreateOrLoad(ctx, db, "visits", codec.String, codec.Unit)
		if err != nil {
			log.Fatal(err)
		}
		_, err = write.Seal(ctx, 7).Wait(ctx)
		fmt.Println("sealed:", err)
		_ = db.Close()
	}

	_, err = tidemark.Open(ctx, "s3://bucket/shop", persist.Config{}) // s3 is not imported here
	fmt.Println(errors.Is(err, tidemark.ErrLocation))
	// Output:
	// sealed: <nil>
	// sealed: <nil>
	// sealed: <nil>
	// true
}

// Another program, or this one, reads while the owner of the location writes.
func ExampleOpenRead() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "tidemark")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // an example's directory
	owner, err := tidemark.Open(ctx, dir, persist.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer owner.Close()
	write, _, err := persist.CreateOrLoad(ctx, owner, "orders", codec.Uint64, codec.String)
	if err != nil {
		log.Fatal(err)
	}

	db, err := tidemark.OpenRead(ctx, dir, persist.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	read, err := persist.Load(ctx, db, "orders", codec.Uint64, codec.String)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := write.Write(ctx, []persist.Update[uint64, string]{{Key: 17, Val: "apple", Diff: 1}}).Wait(ctx); err != nil {
		log.Fatal(err)
	}
	snapshot, err := read.Snapshot(ctx) // it shows all that was acknowledged before
	if err != nil {
		log.Fatal(err)
	}
	defer snapshot.Close()
	updates, err := snapshot.ReadToEnd(ctx)
	fmt.Println(updates, err)
	// Output:
	// [{17 apple 0 1}] <nil>
}
