// Package part is what the engine knows of bytes: encoded updates, sorted rows, and the
// Parquet files that hold them. It knows no stream, no upper and no manifest, and imports
// nothing of the engine, which hands it a [Config], a blob store and counters.
//
//	Columns --Sort--> Source --Consolidate--> rows --Write--> Part, Part, ...   a flush
//	parts --NewRows-> Source --Consolidate--> rows --Write--> Part, Part, ...   a merge
//	parts --NewRows-> Source --Consolidate--> rows                              an ordered read
//	parts --Ahead---> Columns, part by part                                     a read in storage order
//
// An update is in [Columns], which the log, the tail and the cache hold as they are, or is
// a [Row] that refers to some of them (columns.go, rows.go). Sorting and merging compare
// bytes only (sort.go, rows.go, sums.go).
//
// A [Part] is one Parquet file (file_encoder.go, parquet.go, footer.go, snappy.go;
// docs/format.md says what is in it). It is written by [Write] (writer.go), and read by a
// [Store] (store.go): whole through a cache of decoded parts, or past it by row groups that
// are checked before they are decoded (groups.go, checked.go). [Rows] goes through the row
// groups of several parts (cursor.go), [Ahead] reads whole parts before they are asked for
// (read_ahead.go).
//
// A [Spread] is a sketch of the times of the rows that were written (spread.go). limits.go
// says how large one piece of memory may be.
package part
