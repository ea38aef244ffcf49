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
		name: "leftover-edit", bug: "a manifest edit left over from a failure is repeated, and the log truncated by more than it names", origin: ours, tier: a,
		edits: []edit{{"indexed/manifest_writer.go",
			"\tst.mu.Lock()\n\tif len(st.changed) > 0 {",
			"\tst.mu.Lock()\n\tif m.metrics == nil {"}},
		pkg: "./indexed", test: "TestRepeatedEditDoesNotTruncateLaterFlushes",
	},
	{
		name: "refusal-taken-for-success", bug: "what a failed group refused is answered as if the group had landed", origin: ours, tier: b,
		edits: []edit{{"indexed/commit.go",
			"\t\tif r.entry != nil && r.err == nil {\n\t\t\tr.err = answer\n",
			"\t\tif r.entry != nil || r.err != nil || r.cmd == nil {\n\t\t\tif r.err == nil && r.entry != nil {\n\t\t\t\tr.err = answer\n\t\t\t}\n"}},
		pkg: "./indexed", test: "TestFailedGroup",
	},
	{
		name: "paused-owner", bug: "an owner that was replaced while it slept goes on deleting files", origin: "slatedb#1622", tier: b,
		edits: []edit{{"indexed/commit.go",
			"\t\tc.e.replaced.Store(true)\n",
			""}},
		pkg: "./indexed", test: "TestReplacedOwnerTouchesNothing",
	},
	{
		name: "twice-after-restart", bug: "what is in a batch already is replayed from the log once more", origin: "materialize#13496", tier: a,
		edits: []edit{{"indexed/engine.go",
			" && entry.SeqNo > s.flushed {",
			" {"}},
		pkg: "./indexed", test: "TestEngineAgainstModel",
	},
	{
		name: "expected-upper-ignored", bug: "a compare-and-append appends without comparing", origin: "lost updates", tier: a,
		edits: []edit{{"indexed/plan.go",
			"\t\tif s.upper != e.upper {",
			"\t\tif s.upper.LessThan(e.upper) {"}},
		pkg: "./indexed", test: "TestRefusals",
	},
	{
		name: "damage-holds-up-others", bug: "one damaged file stops flushes, merges and writers of all streams", origin: ours, tier: b,
		edits: []edit{{"indexed/flush.go",
			"e.foundDamage(s, err) {",
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
			"if e.maintenance.merges.Load() == before {",
			"if before == before {"}},
		pkg: "./indexed", test: "TestMaintainWaitsForAMergeUnderWay",
	},
	{
		name: "footer-length", bug: "a damaged length makes the Parquet library allocate gigabytes", origin: ours, tier: b,
		edits: []edit{{"indexed/parquet.go",
			"\tif err := checkFooter(data); err != nil {\n\t\treturn Columns{}, err\n\t}\n",
			""}},
		pkg: "./indexed", test: "TestDecodePartChecksItsFooter",
	},
	{
		name: "orphan-that-is-not", bug: "the search for orphans deletes what the log alone has destroyed so far", origin: ours, tier: b,
		edits: []edit{{"indexed/maintain.go",
			"if !m.named[info.Key] && !strings",
			"if !strings"}},
		pkg: "./indexed", test: "TestOrphans",
	},
}
