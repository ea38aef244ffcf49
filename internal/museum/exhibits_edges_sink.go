package main

// Bugs of sinks and of what puts batches in order, where pipelines are a little unlike
// the example.
var sinkEdgeExhibits = []exhibit{
	{
		name: "chain-broken", bug: "a sink's second command goes on where another writer has gone instead of its first", origin: ours, tier: b,
		edits: []edit{{"persist/chain.go", "\t\tcmd.Follow(c.last)\n", ""}},
		pkg:   "./operators/sink", test: "TestSecondSinkWhileTheFirstIsWriting",
	},
	{
		name: "cut-too-late", bug: "a sink cuts a batch whose times were advanced past the cut, and has what lies before it twice", origin: ours, tier: b,
		edits: []edit{{"operators/sink/batches.go", "\tif start.LessEqual(b.Since) {\n", "\tif b.Since.IsEmpty() {\n"}},
		pkg:   "./operators/sink", test: "TestStartBeforeTheUpper",
	},
	{
		name: "since-left-behind", bug: "an output answers as of times that its input was not exact at", origin: ours, tier: b,
		edits: []edit{{"operators/sink/batches.go", "\tif b.Since.LessEqual(w.nextSince) {\n", "\tif !b.Since.IsEmpty() {\n"}},
		pkg:   "./operators/sink", test: "TestSinceFollows",
	},
	{
		name: "outage-never-ends", bug: "a sink that has written again still says that it cannot", origin: ours, tier: b,
		edits: []edit{{"operators/sink/outage.go", "\t\tw.outage.End(nil)\n\t\tw.outage = nil\n", "\t\tw.outage = nil\n"}},
		pkg:   "./operators/sink", test: "TestLongOutage",
	},
	{
		name: "slow-taken-freely", bug: "while one call is slow everything that others have done is held in memory", origin: ours, tier: b,
		edits: []edit{{"operators/internal/order/pace.go", "\treturn p.burst, p.timer.C\n", "\treturn true, p.timer.C\n"}},
		pkg:   "./operators", test: "TestSlowIsNotMissing",
	},
	{
		name: "parts-left", bug: "what a killed sink has left of a batch stays beside the whole batch", origin: ours, tier: b,
		edits: []edit{{"operators/sink/take_back.go", "\tif !w.hasSide {\n", "\tif !w.hasSide || w.side == nil {\n"}},
		pkg:   "./operators/sink", test: "TestKilledInParts",
	},
	{
		name: "parts-not-owned", bug: "two sinks that begin at once both take back what a killed one has left", origin: ours, tier: b,
		edits: []edit{{"operators/sink/side.go", "\tc.ExpectUpperOf(w.sideName, frontier.At(gen))\n", "\t_ = gen\n"}},
		pkg:   "./operators/sink", test: "TestOneSinkTakesBack",
	},
	{
		name: "announced-for-written", bug: "a row that a killed sink has announced, and not written, is taken back", origin: ours, tier: b,
		edits: []edit{{"operators/sink/take_back.go", "\t\tfor ; c.arrived[sum] > 0; c.arrived[sum]-- {\n", "\t\tfor k := n; k > 0; k, _ = k-1, sum {\n"}},
		pkg:   "./operators/sink", test: "TestKilledInParts",
	},
	{
		name: "acknowledged-out-of-order", bug: "what came later and was written first is acknowledged first", origin: ours, tier: b,
		edits: []edit{{"operators/sink/acks.go", "\t\ta := q.waiting[0]\n\t\tif !a.done", "\t\tfor i, w := range q.waiting {\n\t\t\tif w.done {\n\t\t\t\tq.waiting[0], q.waiting[i] = w, q.waiting[0]\n\t\t\t\tbreak\n\t\t\t}\n\t\t}\n\t\ta := q.waiting[0]\n\t\tif !a.done"}},
		pkg:   "./operators/sink", test: "TestAcknowledgeBatches",
	},
}
