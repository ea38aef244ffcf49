package indexed

// part is one blob of a batch: an ordinary Parquet file.
type part struct {
	key   string
	size  int64  // bytes of the blob
	sum   uint64 // xxhash64 of the blob
	rows  int
	bytes int // encoded size of its updates in memory
}
