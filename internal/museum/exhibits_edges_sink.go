package main

// Bugs of sinks and of what puts batches in order, where pipelines are a little unlike
// the example.
var sinkEdgeExhibits = []exhibit{
	{
		name: "chain-broken", bug: "a sink's second command goes on where another writer has gone instead of its first", origin: ours, tier: b,
		plants: changes{drop},
		pkg:    "./operators/sink", test: "TestSecondSinkWhileTheFirstIsWriting",
	},
	{
		name: "cut-too-late", bug: "a sink cuts a batch whose times were advanced past the cut, and has what lies before it twice", origin: ours, tier: b,
		plants: changes{never},
		pkg:    "./operators/sink", test: "TestStartBeforeTheUpper",
	},
	{
		name: "since-left-behind", bug: "an output answers as of times that its input was not exact at", origin: ours, tier: b,
		plants: changes{always},
		pkg:    "./operators/sink", test: "TestSinceFollows",
	},
	{
		name: "outage-never-ends", bug: "a sink that has written again still says that it cannot", origin: ours, tier: b,
		plants: changes{drop},
		pkg:    "./operators/sink", test: "TestLongOutage",
	},
	{
		name: "slow-taken-freely", bug: "while one call is slow everything that others have done is held in memory", origin: ours, tier: b,
		plants: changes{always},
		pkg:    "./operators", test: "TestSlowIsNotMissing",
	},
	{
		name: "parts-left", bug: "what a killed sink has left of a batch stays beside the whole batch", origin: ours, tier: b,
		plants: changes{always},
		pkg:    "./operators/sink", test: "TestKilledInParts",
	},
	{
		name: "parts-not-owned", bug: "two sinks that begin at once both take back what a killed one has left", origin: ours, tier: b,
		plants: changes{instead("_ = gen")},
		pkg:    "./operators/sink", test: "TestOneSinkTakesBack",
	},
	{
		name: "announced-for-written", bug: "a row that a killed sink has announced, and not written, is taken back", origin: ours, tier: b,
		plants: changes{swap("; c.arrived[sum] > 0; c.arrived[sum]--", "k := n; k > 0; k, _ = k-1, sum")},
		pkg:    "./operators/sink", test: "TestKilledInParts",
	},
	{
		name: "acknowledged-out-of-order", bug: "what came later and was written first is acknowledged first", origin: ours, tier: b,
		plants: changes{before("for i, w := range q.waiting {\nif w.done {\nq.waiting[0], q.waiting[i] = w, q.waiting[0]\nbreak\n}\n}")},
		pkg:    "./operators/sink", test: "TestAcknowledgeBatches",
	},
}
