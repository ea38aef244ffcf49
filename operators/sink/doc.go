// Package sink writes what pipelines emit to streams: records as they come, and batches in
// order. Each batch is sealed as it is written.
//
// A stream that a sink seals has one writer. After a restart, the pipeline goes on at the
// stream's upper, which Client.Description returns: give it to source.From. A pipeline with
// several sinks goes on at the least of their uppers: see operators.Resume.
package sink
