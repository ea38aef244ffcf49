// Package interop proves that batches are ordinary Parquet files.
//
// It has only tests. They write streams through the public API, and read the files with
// Apache Arrow's Parquet library, which shares no code with the library that wrote them.
// They compare schema, contents, order, statistics, page indexes, checksums and metadata.
// The package is a module of its own, so that users of Tidemark do not inherit Arrow.
//
// README.md shows how to open the files with DuckDB, pandas and Spark.
package interop
