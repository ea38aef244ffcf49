package main

// Bugs of snapshots, listeners and followers.
var readExhibits = []exhibit{
	{
		name: "skips-when-full", bug: "a listener that has fallen out of the window goes on at its beginning", origin: "etcd#17529", tier: a,
		plants: changes{instead("l.advanceLocked(s.windowAfter)")},
		pkg:    "./persist", test: "TestSlowListener",
	},
	{
		name: "retraction-compacted-away", bug: "a retraction is dropped when compaction lands on it", origin: "etcd#18089", tier: b,
		plants: changes{swap("!= 0", "> 0")},
		pkg:    "./indexed", test: "TestEngineAgainstModel",
	},
	{
		name: "progress-before-data", bug: "a seal is announced before the updates of its own command", origin: "etcd#15220", tier: b,
		plants: changes{drop, after("if len(e.cols) > 0 {\nevents = append(events, Event{SeqNo: e.seqno, Updates: e.cols})\n}")},
		pkg:    "./tidemarktest", test: "TestHistories",
	},
	{
		name: "holds-end-together", bug: "two snapshots hold the same files, and the first that closes lets go for both", origin: "materialize#15645", tier: a,
		plants: changes{never},
		pkg:    "./indexed", test: "TestGarbageWaitsForSnapshots",
	},
	{
		name: "quiet-listener", bug: "a listener of a quiet stream holds the log back, and is cut off", origin: ours, tier: b,
		plants: changes{swap("return ", "return false && ")},
		pkg:    "./indexed", test: "TestIdleListenerMovesOn",
	},
	{
		name: "destroyed-stream", bug: "the log is truncated under listeners of a destroyed stream", origin: ours, tier: b,
		plants: changes{swap("st.names", "st.streams")},
		pkg:    "./indexed", test: "TestSlowListenerKeepsItsLog",
	},
	{
		name: "edits-before-the-log", bug: "a follower applies the manifest to what it has not read as events", origin: ours, tier: b,
		plants: changes{drop},
		pkg:    "./persist", test: "TestFollow",
	},
}
