// Package interop proves that batches are ordinary Parquet files.
//
// It has no code of its own. Its tests write streams through the public API and
// read the files with Apache Arrow's Parquet library, which shares no code with the
// one that wrote them: schema, contents, order, statistics, page indexes, checksums
// and metadata. It is a module of its own, so that nobody who uses Tidemark
// inherits Arrow.
//
// README.md shows how to open the files with DuckDB, pandas and Spark.
package interop
