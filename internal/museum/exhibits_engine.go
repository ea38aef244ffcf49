package main

// Bugs of the engine that owns a location.
var engineExhibits = []exhibit{
	{
		name: "log-before-manifest", bug: "the log is truncated before the manifest names what it held", origin: "pebble#1213", tier: a,
		plants: changes{swap("checkpoint", "applied")},
		pkg:    "./indexed", test: "TestEngineAgainstModel",
	},
	{
		name: "leftover-edit", bug: "a manifest edit left over from a failure is repeated, and the log truncated by more than it names", origin: ours, tier: b,
		plants: changes{never},
		pkg:    "./indexed", test: "TestRepeatedEditDoesNotTruncateLaterFlushes",
	},
	{
		name: "refusal-taken-for-success", bug: "what a failed group refused is answered as if the group had landed", origin: ours, tier: b,
		plants: changes{instead("failed.reqs = append(failed.reqs, r)")},
		pkg:    "./indexed", test: "TestFailedGroup",
	},
	{
		name: "paused-owner", bug: "an owner that was replaced while it slept goes on deleting files", origin: "slatedb#1622", tier: b,
		plants: changes{drop},
		pkg:    "./indexed", test: "TestReplacedOwnerTouchesNothing",
	},
	{
		name: "twice-after-restart", bug: "what is in a batch already is replayed from the log once more", origin: "materialize#13496", tier: b,
		plants: changes{swap("entry.SeqNo > s.flushed", "true")},
		pkg:    "./indexed", test: "TestEngineAgainstModel",
	},
	{
		name: "expected-upper-ignored", bug: "a compare-and-append is accepted although the upper has passed the one it expects", origin: "lost updates", tier: b,
		plants: changes{swap("upper != e.upper", "upper.LessThan(e.upper)")},
		pkg:    "./indexed", test: "TestRefusals",
	},
	{
		name: "damage-holds-up-others", bug: "one damaged file stops flushes, merges and writers of all streams", origin: ours, tier: b,
		plants: changes{never},
		pkg:    "./indexed", test: "TestDamageHoldsUpNobodyElse",
	},
	{
		name: "large-writer-waits", bug: "nobody makes room for a writer whose command is larger than what is left", origin: ours, tier: b,
		plants: changes{swap("e.waiting.Load()", "int64(0)")},
		pkg:    "./indexed", test: "TestWriterThatWaitsIsMadeRoomFor",
	},
	{
		name: "maintain-returns-early", bug: "Maintain returns before a merge of the background is in the manifest", origin: ours, tier: b,
		plants: changes{never},
		pkg:    "./indexed", test: "TestMaintainWaitsForAMergeUnderWay",
	},
	{
		name: "footer-length", bug: "a damaged length makes the Parquet library allocate gigabytes", origin: ours, tier: b,
		plants: changes{never},
		pkg:    "./indexed/internal/part", test: "TestDecodePartChecksItsFooter",
	},
	{
		name: "unchecked-groups", bug: "a merge decodes row groups of a part whose checksum is wrong", origin: ours, tier: b,
		plants: changes{instead("return c, nil")},
		pkg:    "./indexed/internal/part", test: "TestDamagedGroups",
	},
	{
		name: "orphan-that-is-not", bug: "the search for orphans deletes what the log alone has destroyed so far", origin: ours, tier: b,
		plants: changes{swap("!m.named[info.Key] && ", "")},
		pkg:    "./indexed", test: "TestOrphans",
	},
	{
		name: "broken-state", bug: "a durable command that cannot be applied, and the next ones are applied all the same", origin: ours, tier: b,
		plants: changes{always, drop, never},
		pkg:    "./indexed", test: "TestBrokenStateIsLeftAlone",
	},
	{
		name: "chasing-writers", bug: "Maintain merges what is written meanwhile, and never ends", origin: ours, tier: b,
		plants: changes{swap("(ctx, scope)", "(ctx, mergeScope{limit: anything.limit, met: scope.met})")},
		pkg:    "./indexed", test: "TestMaintainEndsUnderLoad",
	},
	{
		name: "half-of-what-cancels", bug: "a tail that cancels out is flushed without a word in the manifest, and half of it is replayed", origin: ours, tier: b,
		plants: changes{swap(" || s.manifest.flushed", "")},
		pkg:    "./file", test: "TestCancelledTailIsNotHalfReplayed",
	},
	{
		name: "lost-edit", bug: "the newest edit of the manifest is lost, and the location opens without what it named", origin: ours, tier: b,
		plants: changes{never},
		pkg:    "./file", test: "TestLostNewestEdit",
	},
	{
		name: "newer-taken-for-damaged", bug: "a file of a newer format is called damaged", origin: ours, tier: b,
		plants: changes{never},
		pkg:    "./file", test: "TestNewerFormatIsRefused",
	},
	{
		name: "four-times-the-space", bug: "a table that is overwritten keeps what it was several times over", origin: ours, tier: b,
		plants: changes{never},
		pkg:    "./file", test: "TestSpaceSteadyState",
	},
	{
		name: "broken-state-written", bug: "a round under way writes the manifest from a state that has just broken", origin: ours, tier: b,
		plants: changes{never},
		pkg:    "./indexed", test: "TestBrokenStateIsNotWrittenDown",
	},
	{
		name: "broken-state-flushed", bug: "a round under way flushes a part of an entry from a state that has just broken, and reads show it twice", origin: ours, tier: b,
		plants: changes{swap("e.life.refuses(noState) || ", "")},
		pkg:    "./indexed", test: "TestBrokenStateIsNotWrittenDown",
	},
	{
		name: "bad-sector-holds-up-others", bug: "one file that the disk cannot read stops maintenance for all streams", origin: ours, tier: b,
		plants: changes{swap("(!", "(true || !")},
		pkg:    "./indexed", test: "TestUnreadableBatchHoldsUpNobodyElse",
	},
	{
		name: "undeletable-slows-all", bug: "one blob that cannot be deleted keeps rounds of maintenance apart, and with them writers", origin: ours, tier: b,
		plants: changes{swap("flushed", "errors.Join(flushed, e.deleteGarbage(ctx, force))")},
		pkg:    "./indexed", test: "TestUndeletableBlobHoldsUpNobody",
	},
	{
		name: "stuck-log-slows-all", bug: "a log that cannot be truncated keeps rounds of maintenance apart, and with them writers", origin: ours, tier: b,
		plants: changes{instead("return nil, errors.Join(flushed, e.truncate(ctx, force))")},
		pkg:    "./indexed", test: "TestTruncationThatFailsHoldsUpNobody",
	},
	{
		name: "end-of-a-stream", bug: "the log lets go of the tail of a destroyed stream before the manifest says that it was destroyed", origin: ours, tier: b,
		plants: changes{swap("s.destroyed || ", ""), never},
		pkg:    "./file", test: "TestReaderAfterDestroyAndPowerCut",
	},
	{
		name: "end-in-between", bug: "the same, when it is destroyed between the manifest and the truncation of a round", origin: ours, tier: b,
		plants: changes{never},
		pkg:    "./indexed", test: "TestStreamThatEndsBeforeTheTruncation",
	},
	{
		name: "waits-for-nobody", bug: "a writer waits for room that a stopped runtime will never make", origin: ours, tier: b,
		plants: changes{drop},
		pkg:    "./indexed", test: "TestWaitingWriterOfAReplacedOwner",
	},
}
