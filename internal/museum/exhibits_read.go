package main

// Bugs of snapshots, listeners and followers.
var readExhibits = []exhibit{
	{
		name: "skips-when-full", bug: "a listener that has fallen out of the window goes on at its beginning", origin: "etcd#17529", tier: a,
		edits: []edit{{"indexed/listener.go",
			"\tif l.cursor < s.windowAfter {\n\t\treturn true, nil\n\t}\n",
			"\tif l.cursor < s.windowAfter {\n\t\tl.advanceLocked(s.windowAfter)\n\t}\n"}},
		pkg: "./persist", test: "TestSlowListener",
	},
	{
		name: "retraction-compacted-away", bug: "a retraction is dropped when compaction lands on it", origin: "etcd#18089", tier: b,
		edits: []edit{{"indexed/merge.go",
			"\t\tcase have && acc.diff != 0:\n",
			"\t\tcase have && acc.diff > 0:\n"}},
		pkg: "./indexed", test: "TestEngineAgainstModel",
	},
	{
		name: "progress-before-data", bug: "a seal is announced before the updates of its own command", origin: "etcd#15220", tier: b,
		edits: []edit{{"indexed/listener.go",
			"\tif len(e.cols) > 0 {\n\t\tevents = append(events, Event{SeqNo: e.seqno, Updates: e.cols})\n\t}\n\tif e.seal {\n\t\tevents = append(events, Event{SeqNo: e.seqno, Sealed: e.sealed})\n\t}\n",
			"\tif e.seal {\n\t\tevents = append(events, Event{SeqNo: e.seqno, Sealed: e.sealed})\n\t}\n\tif len(e.cols) > 0 {\n\t\tevents = append(events, Event{SeqNo: e.seqno, Updates: e.cols})\n\t}\n"}},
		pkg: "./tidemarktest", test: "TestHistories",
	},
	{
		name: "holds-end-together", bug: "two snapshots hold the same files, and the first that closes lets go for both", origin: "materialize#15645", tier: a,
		edits: []edit{{"indexed/state.go",
			"\tif set.refs--; set.refs > 0 {\n\t\treturn\n\t}\n",
			"\tset.refs--\n"}},
		pkg: "./indexed", test: "TestGarbageWaitsForSnapshots",
	},
	{
		name: "quiet-listener", bug: "a listener of a quiet stream holds the log back, and is cut off", origin: ours, tier: b,
		edits: []edit{{"indexed/listener.go",
			"\t\tl.cursor = l.st.applied\n\t}\n\treturn l.cursor\n",
			"\t}\n\treturn l.cursor\n"}},
		pkg: "./indexed", test: "TestIdleListenerMovesOn",
	},
	{
		name: "destroyed-stream", bug: "the log is truncated under listeners of a destroyed stream", origin: ours, tier: b,
		edits: []edit{{"indexed/log_meter.go",
			"\tfor _, s := range st.names { // a destroyed stream may have listeners with events left\n",
			"\tfor _, s := range st.streams {\n"}},
		pkg: "./indexed", test: "TestSlowListenerKeepsItsLog",
	},
	{
		name: "edits-before-the-log", bug: "a follower applies the manifest to what it has not read as events", origin: ours, tier: b,
		edits: []edit{{"indexed/follow.go",
			"\t\tif err := f.readLog(ctx, st); err != nil {\n\t\t\treturn err\n\t\t}\n",
			""}},
		pkg: "./persist", test: "TestFollow",
	},
}
