package part

// Part is one blob of a batch: an ordinary Parquet file.
type Part struct {
	Key   string
	Size  int64  // bytes of the blob
	Sum   uint64 // xxhash64 of the blob
	Rows  int
	Bytes int // encoded size of its updates in memory

	// First is a prefix of the first key, and not longer than a separator is. If Clean is set,
	// every key of the parts before it in the batch is less than First. An older version has
	// left them empty.
	First []byte
	Clean bool

	// Directory is where the directory of the part is. A part that an older version has
	// written has none: its Len is 0.
	Directory Region
}

// Region is a piece of a part's file.
type Region struct {
	At  int64
	Len int
	Sum uint64 // xxhash64 of the bytes
}
