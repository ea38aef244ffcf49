package main

// Bugs of the engine that owns a location.
var engineExhibits = []exhibit{
	{
		name: "log-before-manifest", bug: "the log is truncated before the manifest names what it held", origin: "pebble#1213", tier: a,
		edits: []edit{{"indexed/maintain.go",
			"\tkeep := st.checkpoint\n",
			"\tkeep := st.applied\n"}},
		pkg: "./indexed", test: "TestEngineAgainstModel",
	},
	{
		name: "leftover-edit", bug: "a manifest edit left over from a failure is repeated, and the log truncated by more than it names", origin: ours, tier: b,
		edits: []edit{{"indexed/manifest_writer.go",
			"\tif len(st.changed) > 0 {\n\t\tfull :=",
			"\tif m.metrics == nil {\n\t\tfull :="}},
		pkg: "./indexed", test: "TestRepeatedEditDoesNotTruncateLaterFlushes",
	},
	{
		name: "refusal-taken-for-success", bug: "what a failed group refused is answered as if the group had landed", origin: ours, tier: b,
		edits: []edit{{"indexed/commit.go",
			"\t\tif r.appends() {\n\t\t\tr.err = answer\n",
			"\t\tif r.entry != nil || r.err != nil || r.cmd == nil {\n\t\t\tif r.appends() {\n\t\t\t\tr.err = answer\n\t\t\t}\n"}},
		pkg: "./indexed", test: "TestFailedGroup",
	},
	{
		name: "paused-owner", bug: "an owner that was replaced while it slept goes on deleting files", origin: "slatedb#1622", tier: b,
		edits: []edit{{"indexed/commit.go",
			"\t\t// Someone else owns the location now: what is in it is theirs to tidy up.\n\t\tc.e.endBackground(g.err)\n",
			""}},
		pkg: "./indexed", test: "TestReplacedOwnerTouchesNothing",
	},
	{
		name: "twice-after-restart", bug: "what is in a batch already is replayed from the log once more", origin: "materialize#13496", tier: b,
		edits: []edit{{"indexed/engine.go",
			" && entry.SeqNo > s.flushed {",
			" {"}},
		pkg: "./indexed", test: "TestEngineAgainstModel",
	},
	{
		name: "expected-upper-ignored", bug: "a compare-and-append is accepted although the upper has passed the one it expects", origin: "lost updates", tier: b,
		edits: []edit{{"indexed/plan.go",
			"\tif upper != e.upper {",
			"\tif upper.LessThan(e.upper) {"}},
		pkg: "./indexed", test: "TestRefusals",
	},
	{
		name: "damage-holds-up-others", bug: "one damaged file stops flushes, merges and writers of all streams", origin: ours, tier: b,
		edits: []edit{{"indexed/flush.go",
			"e.foundDamage(s, err, met) {",
			"false {"}},
		pkg: "./indexed", test: "TestDamageHoldsUpNobodyElse",
	},
	{
		name: "large-writer-waits", bug: "nobody makes room for a writer whose command is larger than what is left", origin: ours, tier: b,
		edits: []edit{{"indexed/maintain.go",
			"if waiting := e.waiting.Load(); waiting > 0 || remaining",
			"if waiting := int64(0); remaining"}},
		pkg: "./indexed", test: "TestWriterThatWaitsIsMadeRoomFor",
	},
	{
		name: "maintain-returns-early", bug: "Maintain returns before a merge of the background is in the manifest", origin: ours, tier: b,
		edits: []edit{{"indexed/maintain.go",
			"\tif e.maintenance.merges.Load() != before {",
			"\tif before > 1<<60 {"}},
		pkg: "./indexed", test: "TestMaintainWaitsForAMergeUnderWay",
	},
	{
		name: "footer-length", bug: "a damaged length makes the Parquet library allocate gigabytes", origin: ours, tier: b,
		edits: []edit{{"indexed/part_groups.go",
			"footer > room {",
			"footer > room && false {"}},
		pkg: "./indexed", test: "TestDecodePartChecksItsFooter",
	},
	{
		name: "unchecked-groups", bug: "a merge decodes row groups of a part whose checksum is wrong", origin: ours, tier: b,
		edits: []edit{{"indexed/checked_part.go",
			"return c, checkSum(p, whole.Sum64())",
			"return c, nil"}},
		pkg: "./indexed", test: "TestDamagedGroups",
	},
	{
		name: "orphan-that-is-not", bug: "the search for orphans deletes what the log alone has destroyed so far", origin: ours, tier: b,
		edits: []edit{{"indexed/garbage.go",
			"if !m.named[info.Key] && !strings",
			"if !strings"}},
		pkg: "./indexed", test: "TestOrphans",
	},
	{
		name: "broken-state", bug: "a durable command that cannot be applied, and the next ones are applied all the same", origin: ours, tier: b,
		edits: []edit{
			{"indexed/commit.go", "\t\t\tif c.broken == nil {\n\t\t\t\tif err := st.applyLocked(", "\t\t\tif true {\n\t\t\t\tif err := st.applyLocked("},
			{"indexed/commit.go", "\t\t\t\t\tst.broken = true\n\t\t\t\t\tc.e.handsOff.Store(true)\n", ""},
			{"indexed/commit.go", "\t\tc.failed = c.broken\n\t\tc.e.refuse(c.broken)\n", "\t\tc.broken = nil\n"},
		},
		pkg: "./indexed", test: "TestBrokenStateIsLeftAlone",
	},
	{
		name: "chasing-writers", bug: "Maintain merges what is written meanwhile, and never ends", origin: ours, tier: b,
		edits: []edit{{"indexed/maintain.go", "e.mergeOnce(ctx, scope)", "e.mergeOnce(ctx, mergeScope{limit: anything.limit + 0*scope.limit, met: met})"}},
		pkg:   "./indexed", test: "TestMaintainEndsUnderLoad",
	},
	{
		name: "half-of-what-cancels", bug: "a tail that cancels out is flushed without a word in the manifest, and half of it is replayed", origin: ours, tier: b,
		edits: []edit{{"indexed/maintain.go", "if s.destroyed || s.manifest.flushed || len(", "if s.destroyed || len("}},
		pkg:   "./file", test: "TestCancelledTailIsNotHalfReplayed",
	},
	{
		name: "lost-edit", bug: "the newest edit of the manifest is lost, and the location opens without what it named", origin: ours, tier: b,
		edits: []edit{{"indexed/engine.go", "if s.unflushed && bounds.After > s.flushed {", "if false {"}},
		pkg:   "./file", test: "TestLostNewestEdit",
	},
	{
		name: "newer-taken-for-damaged", bug: "a file of a newer format is called damaged", origin: ours, tier: b,
		edits: []edit{{"indexed/command.go", "v > entryVersion", "v > 200"}},
		pkg:   "./file", test: "TestNewerFormatIsRefused",
	},
	{
		name: "four-times-the-space", bug: "a table that is overwritten keeps what it was several times over", origin: ours, tier: b,
		edits: []edit{{"indexed/choose.go", "len(run) > 1 && 3*", "len(run) > 1000 && 3*"}},
		pkg:   "./file", test: "TestSpaceSteadyState",
	},
	{
		name: "broken-state-written", bug: "a round under way writes the manifest from a state that has just broken", origin: ours, tier: b,
		edits: []edit{{"indexed/manifest_writer.go", "\tif st.broken {", "\tif false {"}},
		pkg:   "./indexed", test: "TestBrokenStateIsNotWrittenDown",
	},
	{
		name: "bad-sector-holds-up-others", bug: "one file that the disk cannot read stops maintenance for all streams", origin: ours, tier: b,
		edits: []edit{{"indexed/damage.go", "if !lasting && (!errors.As(", "if !lasting && (true || !errors.As("}},
		pkg:   "./indexed", test: "TestUnreadableBatchHoldsUpNobodyElse",
	},
	{
		name: "undeletable-slows-all", bug: "one blob that cannot be deleted keeps rounds of maintenance apart, and with them writers", origin: ours, tier: b,
		edits: []edit{{"indexed/maintain.go", "return e.truncate(ctx, force), flushed", "return e.truncate(ctx, force), errors.Join(flushed, e.deleteGarbage(ctx, force))"}},
		pkg:   "./indexed", test: "TestUndeletableBlobHoldsUpNobody",
	},
	{
		name: "stuck-log-slows-all", bug: "a log that cannot be truncated keeps rounds of maintenance apart, and with them writers", origin: ours, tier: b,
		edits: []edit{{"indexed/maintain.go", "return e.truncate(ctx, force), flushed", "return nil, errors.Join(flushed, e.truncate(ctx, force))"}},
		pkg:   "./indexed", test: "TestTruncationThatFailsHoldsUpNobody",
	},
	{
		name: "end-of-a-stream", bug: "the log lets go of the tail of a destroyed stream before the manifest says that it was destroyed", origin: ours, tier: b,
		edits: []edit{
			{"indexed/maintain.go", "if s.destroyed || s.manifest.flushed", "if s.manifest.flushed"},
			{"indexed/maintain.go", "s.manifest.created && s.unflushed {", "s.manifest.created && false {"},
		},
		pkg: "./file", test: "TestReaderAfterDestroyAndPowerCut",
	},
	{
		name: "end-in-between", bug: "the same, when it is destroyed between the manifest and the truncation of a round", origin: ours, tier: b,
		edits: []edit{{"indexed/maintain.go", "s.manifest.created && s.unflushed {", "s.manifest.created && false {"}},
		pkg:   "./indexed", test: "TestStreamThatEndsBeforeTheTruncation",
	},
	{
		name: "waits-for-nobody", bug: "a writer waits for room that a stopped runtime will never make", origin: ours, tier: b,
		edits: []edit{{"indexed/commit.go", "\t\tc.e.refuse(c.failed)\n", ""}},
		pkg:   "./indexed", test: "TestWaitingWriterOfAReplacedOwner",
	},
}
