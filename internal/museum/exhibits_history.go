package main

// Bugs that show only when several are at work, found in recorded histories.
var historyExhibits = []exhibit{
	{
		name: "listener-too-late", bug: "a listener is registered by a request after that of its snapshot", origin: "materialize#8606", tier: a,
		plants: changes{drop, before("if listen && err == nil {\nerr = e.do(ctx, &request{read: func(st *state) { l = st.newListenerLocked(st.streams[id], e.log, e.metrics) }})\n}")},
		pkg:    "./tidemarktest/concurrent", test: "TestConcurrentHistoriesInMemory",
	},
	{
		name: "stale-follower", bug: "a follower answers from what it knows, and does not look for what was acknowledged", origin: "etcd, stale reads", tier: b,
		plants: changes{drop},
		pkg:    "./tidemarktest/concurrent", test: "TestConcurrentHistoriesInMemory",
	},
	{
		name: "half-a-command", bug: "a write over two streams shows in one of them first", origin: "isolation anomalies (Elle)", tier: b,
		plants: changes{before("seqno := seqno\nif ops[i].kind == opWrite && ops[i].stream != ops[0].stream {\nseqno--\n}")},
		pkg:    "./tidemarktest/concurrent", test: "TestConcurrentHistoriesInMemory",
	},
	{
		name: "split-command", bug: "the updates of one command come as several events", origin: "etcd, atomic watch events", tier: b,
		plants: changes{instead("for _, c := range e.cols {\nevents = append(events, Event{SeqNo: e.seqno, Updates: []Columns{c}})\n}")},
		pkg:    "./tidemarktest/concurrent", test: "TestConcurrentHistoriesInMemory",
	},
	{
		name: "read-past-the-queue", bug: "a snapshot does not wait for the commands that were called before it", origin: "stale reads", tier: b,
		plants: changes{instead("e.st.mu.Lock()\nr.read(e.st)\ne.st.mu.Unlock()")},
		pkg:    "./tidemarktest/concurrent", test: "TestConcurrentHistoriesInMemory",
	},
	{
		name: "since-moves-by-itself", bug: "a seal advances the since, and times that could be told apart no longer can", origin: "materialize#15645", tier: b,
		plants: changes{after("if t, ok := o.frontier.Elem(); ok && len(s.set.unsealed) > 1 && t > 0 {\ns.since = s.since.Join(frontier.At(t - 1))\n}")},
		pkg:    "./tidemarktest/concurrent", test: "TestConcurrentHistoriesInMemory",
	},
	{
		name: "values-confused", bug: "compaction adds up updates of different values", origin: "wrong merges", tier: a,
		plants: changes{swap("c != 0", "c != 0 && len(a.Val) != len(b.Val)")},
		pkg:    "./tidemarktest", test: "TestHistories",
	},
	{
		name: "seal-goes-back", bug: "a seal before the upper is accepted", origin: "regressing frontiers", tier: b,
		plants: changes{never, never},
		pkg:    "./tidemarktest", test: "TestHistories",
	},
	{
		name: "times-not-moved", bug: "a snapshot shows times that its since no longer tells apart", origin: "materialize#8303", tier: b,
		plants: changes{swap("c.since.Advance(t)", "t")},
		pkg:    "./tidemarktest", test: "TestHistories",
	},
	{
		name: "flush-hides-the-tail", bug: "while a tail is on its way to a file, snapshots do not see it", origin: "lost reads during a flush", tier: b,
		plants: changes{after("st.dropTailLocked(s, st.applied)")},
		pkg:    "./tidemarktest", test: "TestHistories",
	},
	{
		name: "unknown-taken-for-no-effect", bug: "a command of unknown outcome is said to have had none", origin: "ambiguous commits (Jepsen)", tier: b,
		plants: changes{swap("outcomeUnknownError(g.err)", "storage.NoEffect(g.err)")},
		pkg:    "./tidemarktest", test: "TestHistories",
	},
	{
		name: "since-forgotten", bug: "a restart forgets the since", origin: "lost metadata after a restart", tier: b,
		plants: changes{swap("se.since", "s.since")},
		pkg:    "./tidemarktest", test: "TestHistories",
	},
}
