// Package sink writes what pipelines emit to streams: records as they come, and
// batches in order, each sealed as it is written.
//
// A stream that a sink seals has one writer. Its upper, from Client.Description, is
// where the pipeline goes on after a restart: give it to source.From. A pipeline with
// several sinks goes on at the least of their uppers: see operators.Resume.
package sink
