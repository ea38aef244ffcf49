// Package part handles updates as bytes: encoded updates, sorted rows, and the Parquet
// files that hold them. The engine calls it, and hands it a [Config], a blob store and
// counters. It knows no stream, no upper and no manifest, and imports nothing of the
// engine.
//
//	Columns --Sort--> Source --Consolidate--> rows --Write--> Part, Part, ...   a flush
//	parts --NewRows-> Source --Consolidate--> rows --Write--> Part, Part, ...   a merge
//	parts --NewRows-> Source --Consolidate--> rows                              an ordered read
//	parts --Ahead---> Columns, part by part                                     a read in storage order
//
// [Columns] hold encoded updates. The log, the tail and the cache hold the same columns. A
// [Row] is one update and refers to columns (columns.go, rows.go). Sorting and merging
// compare bytes only (sort.go, rows.go, sums.go).
//
// A [Part] is one Parquet file (file_encoder.go, parquet.go, footer.go, snappy.go).
// docs/format.md says what is in it. [Write] writes parts (writer.go). A [Store] reads them
// (store.go) in one of two ways: whole, through a cache of decoded parts; or past the
// cache, by row groups, which are checked before they are decoded (groups.go, checked.go).
// [Rows] reads the row groups of several parts in order (cursor.go). [Ahead] reads whole
// parts before they are asked for (read_ahead.go).
//
// A [Spread] is a sketch of the times of the rows that were written (spread.go). limits.go
// says how large one piece of memory may be.
package part
