// Package resources checks, in tests, that what is used is given back, and that what is in
// use stays within bounds:
//
//	resources.Cycles(t, 200, func() { ... open, use, close ... })
//
//	peak := resources.Watch(t)
//	for ... { ...; peak.Sample(t) }
//	most, _ := peak.Heap()
//	require.Less(t, most, limit)
//
//	require.Zero(t, resources.Metric(t, registry, "tidemark_pinned_blobs"))
//
// It measures the whole process, so a test that uses it must not run in parallel with
// others. Nothing here depends on how long something takes.
package resources
