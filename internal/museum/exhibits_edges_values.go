package main

// Bugs of keys, values, diffs and names that are unlike the usual ones.
var valuesExhibits = []exhibit{
	{
		name: "sums-wrap", bug: "diffs that add up to more than an int64 holds wrap around, in reads and for good in batches", origin: ours, tier: b,
		plants: changes{instead("_ = more")},
		pkg:    "./persist", test: "TestSumsNeverWrap",
	},
	{
		name: "sums-cut", bug: "a merge keeps of a large sum what one row can say", origin: ours, tier: b,
		plants: changes{always},
		pkg:    "./indexed/internal/part", test: "TestConsolidateIsNaive",
	},
	{
		name: "codec-trusted", bug: "a codec that does not append to dst stores other keys than those that were written", origin: ours, tier: b,
		plants: changes{always},
		pkg:    "./persist", test: "TestCodecsThatDoNotAppend",
	},
	{
		name: "inner-codec-trusted", bug: "a composite takes whatever its parts return", origin: ours, tier: b,
		plants: changes{instead("return c")},
		pkg:    "./persist/codec", test: "TestCompositesOfCodecsThatDoNotAppend",
	},
	{
		name: "name-in-a-scrape", bug: "a stream whose name is not UTF-8 fails the scrape of the whole process", origin: ours, tier: b,
		plants: changes{swap("st.labelLocked(s)", "s.name")},
		pkg:    "./indexed", test: "TestOldNames",
	},
	{
		name: "values-in-the-footer", bug: "a large value is stored three times, and its file cannot be opened by others", origin: ours, tier: b,
		plants: changes{swap("len(v) > maxBoundBytes || ", "")},
		pkg:    "./indexed/internal/part", test: "TestFooterDoesNotGrowWithValues",
	},
	{
		name: "copies-in-page-headers", bug: "the headers of pages hold copies of a large value, and a flush takes forty times its size", origin: ours, tier: b,
		plants: changes{swap("false", "true")},
		pkg:    "./indexed", test: "TestMemoryOfLargeValues",
	},
	{
		name: "kept-part-trusted", bug: "a codec that ignores dst panics as a part of Keep", origin: ours, tier: b,
		plants: changes{swap("inner(c)", "c")},
		pkg:    "./persist/codec", test: "TestCompositesOfCodecsThatDoNotAppend",
	},
	{
		name: "name-as-a-whole", bug: "a name of a megabyte, of an old store, is whole in each text about its stream", origin: ours, tier: b,
		plants: changes{swap("indexed.ShownName(indexed.StreamID(i.ID), i.Name)", "i.Name")},
		pkg:    "./persist", test: "TestStreamInfoPrintsAnyName",
	},
	{
		name: "codec-trusted-in-parts", bug: "a batch that is written in parts has other rows than those it was given, of a codec that does not append", origin: ours, tier: b,
		plants: changes{instead("dst, err := kc.Append(dst, u.Key)\nmid := len(dst)\nif err == nil {\ndst, err = vc.Append(dst, u.Val)\n}\nrow := persist.Row{Key: dst[:mid], Val: dst[mid:], Time: u.Time, Diff: u.Diff}")},
		pkg:    "./operators/sink", test: "TestCodecsThatDoNotAppendInParts",
	},
	{
		name: "times-added-up", bug: "a batch of several times adds up what one row was at each of them", origin: ours, tier: b,
		plants: changes{swap("row.Time", "row.Time &^ 1")},
		pkg:    "./operators/source", test: "TestBatchesAreTheStream",
	},
	{
		name: "least-sum", bug: "a sum that an int64 holds and no write takes ends a pipeline at every restart", origin: ours, tier: b,
		plants: changes{swap("row.Diff == math.MinInt64", "false"), never},
		pkg:    "./operators/sink", test: "TestLeastSumGoesThrough",
	},
	{
		name: "room-behind-a-row", bug: "a decoder that appends to its bytes changes the rows behind them", origin: ours, tier: b,
		plants: changes{instead("")},
		pkg:    "./operators/source", test: "TestDecodersMayAppend",
	},
	{
		name: "lost-with-a-row", bug: "stored history before an update that cannot be decoded is not emitted", origin: ours, tier: b,
		plants: changes{swap("intervals[:i]", "intervals[:0]")},
		pkg:    "./operators/source", test: "TestUpdatesBeforeAnError",
	},
	{
		name: "nameless-update", bug: "an error of a write tells of an update by its place in a command, which its user has not made", origin: ours, tier: b,
		plants: changes{swap("updates[i].Key", "nil")},
		pkg:    "./operators/sink", test: "TestErrorsNameTheKey",
	},
}
