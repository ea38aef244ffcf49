package main

// Bugs of background work that only some distributions of times show, or large streams.
var edgesMaintainExhibits = []exhibit{
	{
		name: "far-row-hides-others", bug: "one row far away makes what is sealed look as if it were not, and it is stored for ever", origin: ours, tier: b,
		plants: changes{always},
		pkg:    "./indexed", test: "TestSpaceOfAnyTimes",
	},
	{
		name: "left-behind", bug: "what was moved to the trace stays in unsealed batches as long as one row of them is not sealed", origin: ours, tier: b,
		plants: changes{never},
		pkg:    "./indexed", test: "TestSpaceOfAnyTimes",
	},
	{
		name: "never-sealed-never-folded", bug: "a table that is overwritten and never sealed grows for ever", origin: ours, tier: b,
		plants: changes{swap("!since", "since")},
		pkg:    "./indexed", test: "TestSpaceOfAnyTimes",
	},
	{
		name: "fold-beside-a-move", bug: "a merge advances a row beyond the trace while a flush moves it there: it is there twice", origin: ours, tier: b,
		plants: changes{swap("!s.moving && ", ""), swap("m.claims", "false")},
		pkg:    "./indexed", test: "TestFoldBesideAMove",
	},
	{
		name: "large-move-in-a-round", bug: "the move of one large stream holds up the writers of all others", origin: ours, tier: b,
		plants: changes{swap(" || p.bytes > m.movedInRound", ""), never},
		pkg:    "./indexed", test: "TestLargeStreamHoldsUpNobody",
	},
	{
		name: "many-small-moves", bug: "a round moves what many streams have sealed, however many these are", origin: ours, tier: b,
		plants: changes{drop},
		pkg:    "./indexed", test: "TestRoundsMoveLittle",
	},
	{
		name: "diluted", bug: "neighbours that would be worth merging are not merged, since others beside them are not worth it", origin: ours, tier: b,
		plants: changes{swap("to < len(o.list)", "to < len(o.list) && from == 0")},
		pkg:    "./indexed", test: "TestMaintainLeavesNothingToMerge",
	},
	{
		name: "guess-for-knowledge", bug: "after a restart batches are merged by a guess of their times, which were spread otherwise", origin: ours, tier: b,
		plants: changes{drop},
		pkg:    "./indexed", test: "TestUnknownTimesAreNotGuessed",
	},
	{
		name: "guess-that-moves", bug: "after a restart a round moves what is sealed by a guess of the batches' times, and reads and writes in vain", origin: ours, tier: b,
		plants: changes{never},
		pkg:    "./indexed", test: "TestUnknownTimesAreNotMoved",
	},
	{
		name: "guess-at-the-since", bug: "how much of a batch lies at the since itself is guessed after a restart", origin: ours, tier: b,
		plants: changes{swap("b.guessed(since)", "b.splitBy(c.since)")},
		pkg:    "./indexed", test: "TestBatchesAreNotFoldedByAGuess",
	},
	{
		name: "folded-alone", bug: "what a move wrote as of the since is taken to be folded, and keeps what it deletes in older batches", origin: ours, tier: b,
		plants: changes{swap(">= c.limit", ">= c.limit || !c.set.trace[n].desc.Since.LessThan(c.since)")},
		pkg:    "./indexed", test: "TestBatchesOfOneSinceAreFolded",
	},
	{
		name: "garbage-counted-apart", bug: "what folds in one batch, and what others delete, are each too little for a merge, and together most of the store", origin: ours, tier: b,
		plants: changes{swap("whole[0].bytesOf(whole[0].mayFold()) + ", "")},
		pkg:    "./indexed", test: "TestGarbageOfSeveralRulesAddsUp",
	},
	{
		name: "failing-stream-first", bug: "a stream that cannot be flushed is tried first in every round, and others are never flushed", origin: ours, tier: b,
		plants: changes{drop},
		pkg:    "./indexed", test: "TestFlushesAreInOrder",
	},
	{
		name: "failing-stream-as-room", bug: "a stream that cannot be flushed counts as room for writers that wait, and no other is asked for room", origin: ours, tier: b,
		plants: changes{never},
		pkg:    "./indexed", test: "TestFailingStreamIsNoRoom/due",
	},
	{
		name: "failing-stream-chosen", bug: "a round chooses the stream that cannot be flushed again and again, because it is the largest", origin: ours, tier: b,
		plants: changes{swap("cmp.Compare(a.flushFailure, b.flushFailure), ", "")},
		pkg:    "./indexed", test: "TestFailingStreamIsNoRoom/chosen",
	},
	{
		name: "room-of-another", bug: "on a full disk a blob is refused although another one has just made room", origin: ours, tier: b,
		plants: changes{swap("err = b.set(key, value)", "if more {\nerr = b.set(key, value)\n}")},
		pkg:    "./file", test: "TestRoomThatAnotherBlobMade",
	},
	{
		name: "merges-before-room", bug: "on a full disk Maintain fails to merge, although what a destroyed stream has left could be deleted first", origin: ours, tier: b,
		plants: changes{drop},
		pkg:    "./indexed", test: "TestMaintainMakesRoom",
	},
	{
		name: "orphans-given-up", bug: "blobs that cannot be listed at an opening are not looked for again, and orphans stay", origin: ours, tier: b,
		plants: changes{instead("searched = true")},
		pkg:    "./indexed", test: "TestOrphansAreLookedForAgain",
	},
}
