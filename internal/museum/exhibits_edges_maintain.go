package main

// Bugs of background work that only some distributions of times show, or large streams.
var edgesMaintainExhibits = []exhibit{
	{
		name: "far-row-hides-others", bug: "one row far away makes what is sealed look as if it were not, and it is stored for ever", origin: ours, tier: b,
		edits: []edit{{"indexed/spread.go", "\tif s == nil { // nothing", "\tif s == nil || s != nil { // nothing"}},
		pkg:   "./indexed", test: "TestSpaceOfAnyTimes",
	},
	{
		name: "left-behind", bug: "what was moved to the trace stays in unsealed batches as long as one row of them is not sealed", origin: ours, tier: b,
		edits: []edit{{"indexed/choose.go", "\t\tif dead(b) {\n", "\t\tif i < 0 && dead(b) {\n"}},
		pkg:   "./indexed", test: "TestSpaceOfAnyTimes",
	},
	{
		name: "never-sealed-never-folded", bug: "a table that is overwritten and never sealed grows for ever", origin: ours, tier: b,
		edits: []edit{{"indexed/choose.go", "return upper.LessThan(since) && !since.IsEmpty()", "return upper.LessThan(since) && since.IsEmpty()"}},
		pkg:   "./indexed", test: "TestSpaceOfAnyTimes",
	},
	{
		name: "fold-beside-a-move", bug: "a merge advances a row beyond the trace while a flush moves it there: it is there twice", origin: ours, tier: b,
		edits: []edit{
			{"indexed/flush.go", "s.damage == nil && !s.moving && s.set", "s.damage == nil && s.set"},
			{"indexed/compact.go", "if s.destroyed || m.claims && s.set.traceUpper() != m.lower {", "if s.destroyed {"},
		},
		pkg: "./indexed", test: "TestFoldBesideAMove",
	},
	{
		name: "large-move-in-a-round", bug: "the move of one large stream holds up the writers of all others", origin: ours, tier: b,
		edits: []edit{
			{"indexed/flush.go", "p.worthIt(tail, force) || p.bytes > m.movedInRound:", "p.worthIt(tail, force):"},
			{"indexed/flush.go", "\tcase p.bytes > m.moveLeft:\n", "\tcase p.bytes < 0:\n"},
		},
		pkg: "./indexed", test: "TestLargeStreamHoldsUpNobody",
	},
	{
		name: "many-small-moves", bug: "a round moves what many streams have sealed, however many these are", origin: ours, tier: b,
		edits: []edit{{"indexed/flush.go", "\tm.moveLeft -= p.bytes\n", ""}},
		pkg:   "./indexed", test: "TestRoundsMoveLittle",
	},
	{
		name: "diluted", bug: "neighbours that would be worth merging are not merged, since others beside them are not worth it", origin: ours, tier: b,
		edits: []edit{{"indexed/choose_unsealed.go", "\t\tfor to := from; to < len(o.list); to++ {\n", "\t\tfor to := from; to < len(o.list) && from == 0; to++ {\n"}},
		pkg:   "./indexed", test: "TestMaintainLeavesNothingToMerge",
	},
	{
		name: "guess-for-knowledge", bug: "after a restart batches are merged by a guess of their times, which were spread otherwise", origin: ours, tier: b,
		edits: []edit{{"indexed/choose_unsealed.go", "\t\tlive = count{rows: 1}\n", ""}},
		pkg:   "./indexed", test: "TestUnknownTimesAreNotGuessed",
	},
	{
		name: "guess-that-moves", bug: "after a restart a round moves what is sealed by a guess of the batches' times, and reads and writes in vain", origin: ours, tier: b,
		edits: []edit{{"indexed/move.go", "	if p.guess {\n\t\treturn false\n\t}\n", ""}},
		pkg:   "./indexed", test: "TestUnknownTimesAreNotMoved",
	},
	{
		name: "guess-at-the-since", bug: "how much of a batch lies at the since itself is guessed after a restart", origin: ours, tier: b,
		edits: []edit{{"indexed/choose.go", "\tif b.guessed(since) {\n\t\treturn c.learn(b)\n\t}\n\tif 4*(rest", "\tif b.splitBy(c.since) {\n\t\treturn c.learn(b)\n\t}\n\tif 4*(rest"}},
		pkg:   "./indexed", test: "TestBatchesAreNotFoldedByAGuess",
	},
	{
		name: "folded-alone", bug: "what a move wrote as of the since is taken to be folded, and keeps what it deletes in older batches", origin: ours, tier: b,
		edits: []edit{
			{"indexed/choose.go", "c.set.trace[n].newest >= c.limit {\n", "c.set.trace[n].newest >= c.limit || !c.set.trace[n].desc.Since.LessThan(c.since) {\n"},
		},
		pkg: "./indexed", test: "TestBatchesOfOneSinceAreFolded",
	},
	{
		name: "orphans-given-up", bug: "blobs that cannot be listed at an opening are not looked for again, and orphans stay", origin: ours, tier: b,
		edits: []edit{{"indexed/garbage.go",
			"\t\t\t\tsearchAgain = time.Now().Add(e.backoff(searches.failures))\n",
			"\t\t\t\tsearched = true\n"}},
		pkg: "./indexed", test: "TestOrphansAreLookedForAgain",
	},
}
