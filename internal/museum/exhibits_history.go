package main

// Bugs that show only when several are at work, found in recorded histories.
var historyExhibits = []exhibit{
	{
		name: "listener-too-late", bug: "a listener is registered by a request after that of its snapshot", origin: "materialize#8606", tier: a,
		edits: []edit{
			{"indexed/engine.go",
				"\t\tif listen {\n\t\t\tl = st.newListenerLocked(s, e.log, e.metrics)\n\t\t}\n\t}}\n",
				"\t}}\n"},
			{"indexed/engine.go",
				"\treturn snap, l, err\n",
				"\tif listen && err == nil {\n\t\terr = e.do(ctx, &request{read: func(st *state) { l = st.newListenerLocked(st.streams[id], e.log, e.metrics) }})\n\t}\n\treturn snap, l, err\n"},
		},
		pkg: "./tidemarktest/concurrent", test: "TestConcurrentHistoriesInMemory",
	},
	{
		name: "stale-follower", bug: "a follower answers from what it knows, and does not look for what was acknowledged", origin: "etcd, stale reads", tier: b,
		edits: []edit{{"indexed/follow.go",
			"\tif err := f.Refresh(ctx); err != nil {\n\t\treturn err\n\t}\n\tst := f.current()\n",
			"\tst := f.current()\n"}},
		pkg: "./tidemarktest/concurrent", test: "TestConcurrentHistoriesInMemory",
	},
	{
		name: "half-a-command", bug: "a write over two streams shows in one of them first", origin: "isolation anomalies (Elle)", tier: b,
		edits: []edit{{"indexed/state.go",
			"\tfor i := range ops {\n\t\tif err := st.applyOpLocked(seqno, &ops[i], now); err != nil {\n",
			"\tfor i := range ops {\n\t\tat := seqno\n\t\tif ops[i].kind == opWrite && ops[i].stream != ops[0].stream {\n\t\t\tat--\n\t\t}\n\t\tif err := st.applyOpLocked(at, &ops[i], now); err != nil {\n"}},
		pkg: "./tidemarktest/concurrent", test: "TestConcurrentHistoriesInMemory",
	},
	{
		name: "split-command", bug: "the updates of one command come as several events", origin: "etcd, atomic watch events", tier: b,
		edits: []edit{{"indexed/listener.go",
			"\t\tevents = append(events, Event{SeqNo: e.seqno, Updates: e.cols})\n",
			"\t\tfor _, c := range e.cols {\n\t\t\tevents = append(events, Event{SeqNo: e.seqno, Updates: []Columns{c}})\n\t\t}\n"}},
		pkg: "./tidemarktest/concurrent", test: "TestConcurrentHistoriesInMemory",
	},
	{
		name: "read-past-the-queue", bug: "a snapshot does not wait for the commands that were called before it", origin: "stale reads", tier: b,
		edits: []edit{{"indexed/engine.go",
			"\tif doErr := e.do(ctx, r); doErr != nil {\n\t\treturn nil, nil, doErr\n\t}\n\treturn snap, l, err\n",
			"\te.st.mu.Lock()\n\tr.read(e.st)\n\te.st.mu.Unlock()\n\treturn snap, l, err\n"}},
		pkg: "./tidemarktest/concurrent", test: "TestConcurrentHistoriesInMemory",
	},
	{
		name: "since-moves-by-itself", bug: "a seal advances the since, and times that could be told apart no longer can", origin: "materialize#15645", tier: b,
		edits: []edit{{"indexed/state.go",
			"\t\ts.upper = o.frontier\n",
			"\t\ts.upper = o.frontier\n\t\tif t, ok := o.frontier.Elem(); ok && len(s.set.unsealed) > 1 && t > 0 {\n\t\t\ts.since = s.since.Join(frontier.At(t - 1))\n\t\t}\n"}},
		pkg: "./tidemarktest/concurrent", test: "TestConcurrentHistoriesInMemory",
	},
	{
		name: "values-confused", bug: "compaction adds up updates of different values", origin: "wrong merges", tier: a,
		edits: []edit{{"indexed/merge.go", "\tif c := bytes.Compare(a.val, b.val); c != 0 {\n\t\treturn c\n\t}\n\treturn cmp.Compare(a.time, b.time)", "\tif c := bytes.Compare(a.val, b.val); c != 0 && len(a.val) != len(b.val) {\n\t\treturn c\n\t}\n\treturn cmp.Compare(a.time, b.time)"}},
		pkg:   "./tidemarktest", test: "TestHistories",
	},
	{
		name: "seal-goes-back", bug: "a seal before the upper is accepted", origin: "regressing frontiers", tier: b,
		edits: []edit{{"indexed/plan.go", "\t\tif o.frontier.LessThan(s.upper) {", "\t\tif false {"}, {"indexed/state.go", "\t\tif o.frontier.LessThan(s.upper) {", "\t\tif false {"}},
		pkg:   "./tidemarktest", test: "TestHistories",
	},
	{
		name: "times-not-moved", bug: "a snapshot shows times that its since no longer tells apart", origin: "materialize#8303", tier: b,
		edits: []edit{{"indexed/snapshot.go", "c.since.Advance(t), c.cols.Diff(i), true", "t, c.cols.Diff(i), true"}},
		pkg:   "./tidemarktest", test: "TestHistories",
	},
	{
		name: "flush-hides-the-tail", bug: "while a tail is on its way to a file, snapshots do not see it", origin: "lost reads during a flush", tier: b,
		edits: []edit{{"indexed/flush.go", "\tst.nextBatch += 2\n\ts.set.refs++\n", "\tst.nextBatch += 2\n\ts.set.refs++\n\tst.dropTailLocked(s, st.applied)\n"}},
		pkg:   "./tidemarktest", test: "TestHistories",
	},
	{
		name: "unknown-taken-for-no-effect", bug: "a command of unknown outcome is said to have had none", origin: "ambiguous commits (Jepsen)", tier: b,
		edits: []edit{{"indexed/commit.go", "\t\tanswer = outcomeUnknownError(g.err)", "\t\tanswer = storage.NoEffect(g.err)"}},
		pkg:   "./tidemarktest", test: "TestHistories",
	},
	{
		name: "since-forgotten", bug: "a restart forgets the since", origin: "lost metadata after a restart", tier: b,
		edits: []edit{{"indexed/manifest.go", "s.upper, s.since = se.upper, se.since", "s.upper = se.upper"}},
		pkg:   "./tidemarktest", test: "TestHistories",
	},
}
