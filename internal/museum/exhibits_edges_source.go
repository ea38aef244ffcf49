package main

// Bugs of what pipelines meet that are a little unlike the example: of sources, flows and
// codecs.
var edgesSourceExhibits = []exhibit{
	{
		name: "doubled-as-of", bug: "a source that goes on as of the sink's upper emits everything again", origin: ours, tier: a,
		plants: changes{never},
		pkg:    "./operators/source", test: "TestResumeIsExactOrRefused",
	},
	{
		name: "silent-source", bug: "a source that starts beyond its stream says nothing, for ever", origin: ours, tier: b,
		plants: changes{never},
		pkg:    "./operators/source", test: "TestRefusedResumptions",
	},
	{
		name: "spill-forgets-all", bug: "a source that cannot hold all that is not sealed reads everything for each seal", origin: ours, tier: b,
		plants: changes{instead("e.pending.clear()\ne.horizon = e.lower")},
		pkg:    "./operators/source", test: "TestSpilledUpdatesAreReadForManySeals",
	},
	{
		name: "horizon-forgotten", bug: "a source that has read again takes what it did not hold for what is not there", origin: ours, tier: b,
		plants: changes{swap(".Meet(e.horizon)", "")},
		pkg:    "./operators/source", test: "TestBatchesAreTheStream",
	},
	{
		name: "wrapped-sum", bug: "diffs of one row that are not sealed yet wrap around", origin: ours, tier: b,
		plants: changes{swap("s.high == uint64(int64(s.low)>>63)", "true")},
		pkg:    "./operators/source", test: "TestPendingDiffsAreExact",
	},
	{
		name: "batches-by-rows", bug: "a source cuts batches by their rows alone, whatever these take", origin: ours, tier: b,
		plants: changes{swap(" || bytes > b.bytes", "")},
		pkg:    "./operators/source", test: "TestBatchesAreBoundedInBytes",
	},
	{
		name: "seals-in-one-batch", bug: "seals that come while the consumer is busy make one batch, however large", origin: ours, tier: b,
		plants: changes{never},
		pkg:    "./operators/source", test: "TestBatchesAreBoundedInBytes",
	},
	{
		name: "cause-hidden", bug: "the cancelling of a pipeline that failed is reported beside why it failed", origin: "users of errors.Join", tier: b,
		plants: changes{swap("!f.failed && ", "f.failed || ")},
		pkg:    "./operators", test: "TestOwnCancelDoesNotHideTheCause",
	},
	{
		name: "memory-by-argument", bug: "a flow makes room for as many batches as it may work on", origin: ours, tier: b,
		plants: changes{swap(", 1)", ", cap(m.slots))")},
		pkg:    "./operators", test: "TestAnyParallelism",
	},
	{
		name: "digits-lost", bug: "integers above 2^53 lose digits in JSON values of interface types", origin: "encoding/json", tier: b,
		plants: changes{drop},
		pkg:    "./persist", test: "TestNumbersKeepTheirDigits",
	},
	{
		name: "another-version", bug: "a row that another version wrote is read as a value that cannot retract it", origin: ours, tier: b,
		plants: changes{swap("!r.wouldWrite", "false && !r.wouldWrite")},
		pkg:    "./persist", test: "TestRowsOfAnotherVersion",
	},
	{
		name: "kept-stale", bug: "a value that was changed is written as it was read", origin: ours, tier: b,
		plants: changes{swap(" && string(out[len(dst):]) == v.text", "")},
		pkg:    "./persist/codec", test: "TestKeptValues",
	},
	{
		name: "refused-in-silence", bug: "a second consumer of an operator that has ended is told nothing", origin: ours, tier: b,
		plants: changes{swap("over", "finished")},
		pkg:    "./operators/source", test: "TestSecondConsumerOfAnEndedSource",
	},
}
