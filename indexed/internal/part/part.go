package part

// Part is one blob of a batch: an ordinary Parquet file.
type Part struct {
	Key   string
	Size  int64  // bytes of the blob
	Sum   uint64 // xxhash64 of the blob
	Rows  int
	Bytes int // encoded size of its updates in memory
}
