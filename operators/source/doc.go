// Package source reads streams into pipelines: [New] in record mode, update by
// update, and [NewBatches] in batch mode, one batch for every advance of the upper.
// Package operators explains both modes.
//
//	src := source.NewBatches(ctx, read, source.From(upperOfTheSink))
//	src.Via(operators.FlatMap(ctx, 4, parse)).To(sink.New(ctx, write))
package source
