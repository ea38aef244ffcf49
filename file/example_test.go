package file_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

// A directory is opened by one owner at a time. What was acknowledged is there when it is
// opened again.
func ExampleOpen() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "tidemark")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // an example's directory

	client, err := file.Open(ctx, dir, persist.Config{}, file.LockInfo(storage.LockInfo{Owner: "importer"}))
	if err != nil {
		log.Fatal(err)
	}
	write, _, err := persist.CreateOrLoad(ctx, client, "stock", codec.String, codec.Unit)
	if err != nil {
		log.Fatal(err)
	}
	_, err = write.Write(ctx, []persist.Update[string, struct{}]{{Key: "apple", Time: 1, Diff: 3}}).Wait(ctx)
	fmt.Println("write:", err) // nil: it is on the disk

	_, err = file.Open(ctx, dir, persist.Config{})
	var locked *storage.LockedError
	fmt.Println("locked by the importer:", errors.As(err, &locked) && locked.Holder.Owner == "importer")
	if err := client.Close(); err != nil {
		log.Fatal(err)
	}

	client, err = file.Open(ctx, dir, persist.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	_, read, err := persist.CreateOrLoad(ctx, client, "stock", codec.String, codec.Unit)
	if err != nil {
		log.Fatal(err)
	}
	snapshot, err := read.Snapshot(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer snapshot.Close()
	updates, err := snapshot.ReadToEnd(ctx)
	fmt.Println(updates, err)
	// Output:
	// write: <nil>
	// locked by the importer: true
	// [{apple {} 1 3}] <nil>
}

// A reader needs no lock. It follows the owner, which may be another process.
func ExampleOpenRead() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "tidemark")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // an example's directory
	owner, err := file.Open(ctx, dir, persist.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer owner.Close()
	write, _, err := persist.CreateOrLoad(ctx, owner, "stock", codec.String, codec.Unit)
	if err != nil {
		log.Fatal(err)
	}

	client, err := file.OpenRead(ctx, dir, persist.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	read, err := persist.Load(ctx, client, "stock", codec.String, codec.Unit)
	if err != nil {
		log.Fatal(err)
	}
	snapshot, listener, err := read.Listen(ctx) // what is there, and what comes after
	if err != nil {
		log.Fatal(err)
	}
	defer snapshot.Close()
	defer listener.Close()
	updates, err := snapshot.ReadToEnd(ctx)
	fmt.Println(len(updates), err)

	if _, err := write.Write(ctx, []persist.Update[string, struct{}]{{Key: "apple", Time: 1, Diff: 3}}).Wait(ctx); err != nil {
		log.Fatal(err)
	}
	event, err := listener.Next(ctx)
	fmt.Println(event.Updates, err)
	// Output:
	// 0 <nil>
	// [{apple {} 1 3}] <nil>
}

func ExampleNewLog() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "tidemark")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir) //nolint:errcheck // an example's directory

	entries, err := file.NewLog(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	// Both entries are durable when Append returns. 0 is where the log ended.
	positions, err := entries.Append(ctx, 0, [][]byte{[]byte("first"), []byte("second")})
	fmt.Println(positions, err)

	// Only one handle writes, and the error says which.
	_, err = file.NewLog(dir)
	fmt.Println(strings.Contains(err.Error(), "locked by"))

	// Others may read, in this process or another.
	reader, err := file.NewLogReader(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	for entry, err := range reader.Read(ctx, 1) {
		fmt.Println(entry.SeqNo, string(entry.Data), err)
	}
	fmt.Println(reader.Close(), entries.Close())
	// Output:
	// [1 2] <nil>
	// true
	// 2 second <nil>
	// <nil> <nil>
}

func ExampleNewBlob() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "tidemark")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir) //nolint:errcheck // an example's directory

	blobs, err := file.NewBlob(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	version, err := blobs.Set(ctx, "s/1/part.parquet", []byte("contents"))
	fmt.Println(err)
	_, err = blobs.SetIf(ctx, "s/1/part.parquet", []byte("others"), "another version")
	fmt.Println(err != nil)
	_, err = blobs.SetIf(ctx, "s/1/part.parquet", []byte("newer"), version)
	fmt.Println(err)
	for info, err := range blobs.List(ctx, "s/") {
		fmt.Println(info.Key, info.Size, err)
	}

	// The file holds the contents and nothing else.
	data, err := os.ReadFile(dir + "/blob/data/s%2f1%2fpart.parquet")
	fmt.Println(string(data), err)
	fmt.Println(blobs.Close())
	// Output:
	// <nil>
	// true
	// <nil>
	// s/1/part.parquet 5 <nil>
	// newer <nil>
	// <nil>
}
