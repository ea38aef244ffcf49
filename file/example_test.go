package file_test

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/tidemark-go/tidemark/file"
)

func ExampleNewLog() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "tidemark")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir) //nolint:errcheck // an example's directory

	log, err := file.NewLog(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	// Both entries are durable when Append returns. 0 is where the log ended.
	positions, err := log.Append(ctx, 0, [][]byte{[]byte("first"), []byte("second")})
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
	fmt.Println(reader.Close(), log.Close())
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
