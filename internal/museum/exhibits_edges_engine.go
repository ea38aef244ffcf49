package main

// Bugs at the edges of the engine: limits, arguments, outages, many of something.
var engineEdgeExhibits = []exhibit{
	{
		name: "log-of-frames", bug: "the log's limit counts entries, and not what the log writes around them", origin: ours, tier: b,
		edits: []edit{{"indexed/commit.go",
			"\taround := c.size.stored(len(g.entries), g.bytes) - g.bytes\n",
			"\taround := int64(0)\n"}},
		pkg: "./indexed", test: "TestLogBytesAreStoredBytes",
	},
	{
		name: "group-beyond-the-log", bug: "a group of commands is more than the log takes, and all of them fail", origin: ours, tier: b,
		edits: []edit{
			{"indexed/commit.go",
				"\treturn n < c.fewest && c.size.stored(n+1, c.next.bytes+int64(len(r.entry))) <= c.most\n",
				"\treturn true\n"},
			{"indexed/commit.go",
				"\tif errors.Is(g.err, storage.ErrTooLarge) && len(g.entries) > 1 {\n",
				"\tif false {\n"},
		},
		pkg: "./indexed", test: "TestGroupsFitTheLog",
	},
	{
		name: "idle-is-written", bug: "a command that changes nothing is written, and listeners hear of it", origin: ours, tier: b,
		edits: []edit{{"indexed/plan.go",
			"\treturn idle, nil\n",
			"\treturn false && idle, nil\n"}},
		pkg: "./indexed", test: "TestCommandsWithoutEffect",
	},
	{
		name: "idle-for-good", bug: "a command that changes nothing stays so when what it rested on has failed", origin: ours, tier: b,
		edits: []edit{{"indexed/commit.go",
			"\t\tr.idle, r.err = c.plan.check(r.cmd)\n",
			"\t\tidle, err := c.plan.check(r.cmd)\n\t\tr.idle, r.err = r.idle || idle, err\n"}},
		pkg: "./indexed", test: "TestCommandsWithoutEffectKeepTheirTurn",
	},
	{
		name: "since-wrapped", bug: "upper-1 at an upper of 0 moves the since to the end of time", origin: ours, tier: b,
		edits: []edit{{"indexed/plan.go",
			"\treturn ok && unfinished && s > u && s-u > math.MaxInt64\n",
			"\treturn false && ok && unfinished && s > u && s-u > math.MaxInt64\n"}},
		pkg: "./indexed", test: "TestSinceThatWrapped",
	},
	{
		name: "follower-holds-all", bug: "a listener of a follower holds back deleted segments without limit", origin: ours, tier: b,
		edits: []edit{{"indexed/follow.go",
			"\thold := st.cutLaggedLocked(&f.meter, &f.cfg)\n",
			"\thold := st.cutLaggedLocked(new(logMeter), &f.cfg)\n"}},
		pkg: "./indexed", test: "TestFollowersListenersMayLag",
	},
	{
		name: "line-per-failure", bug: "an outage of the log has a line for every command that it refuses", origin: ours, tier: b,
		edits: []edit{{"indexed/outage.go",
			"\tif o.failures == 0 {\n\t\to.since = time.Now()\n",
			"\tif o.failures == 0 {\n\t\to.since = time.Now()\n\t}\n\tif true {\n"}},
		pkg: "./indexed", test: "TestLogOutage",
	},
	{
		name: "background-ends-silently", bug: "background work that ends for good does not say so", origin: ours, tier: b,
		edits: []edit{{"indexed/maintain.go",
			"\te.handedOff.Do(func() {\n",
			"\te.handedOff.Do(func() {\n\t\tif cause != nil {\n\t\t\treturn\n\t\t}\n"}},
		pkg: "./indexed", test: "TestBackgroundWorkEndsWithALine",
	},
	{
		name: "shutdown-without-end", bug: "a runtime whose disk hangs cannot be given up", origin: ours, tier: b,
		edits: []edit{{"indexed/ending.go",
			"\treturn e.ending.within(ctx, e.end)\n",
			"\treturn e.ending.within(context.Background(), e.end)\n"}},
		pkg: "./indexed", test: "TestShutdownEndsWithItsContext",
	},
	{
		name: "refresh-behind-refresh", bug: "a read of a follower waits for another one that hangs, whatever its context says", origin: ours, tier: b,
		edits: []edit{{"indexed/follow.go",
			"\tif err := f.refresh.Acquire(ctx, 1); err != nil {\n",
			"\tif err := f.refresh.Acquire(context.Background(), 1); err != nil {\n"}},
		pkg: "./indexed", test: "TestFollowersCallsEndWithTheirContext",
	},
	{
		name: "forgets-the-destroyed", bug: "a full copy of the manifest leaves out streams that were destroyed long ago, and their names can be taken again", origin: ours, tier: b,
		edits: []edit{{"indexed/manifest.go",
			"\t\tfor name, id := range st.tombs.ids {\n",
			"\t\tfor name, id := range map[string]StreamID(nil) {\n"}},
		pkg: "./indexed", test: "TestDestroyedStreamsAreBuried",
	},
	{
		name: "buried-alive", bug: "a destroyed stream is let go of while listeners have its last events to hear", origin: ours, tier: b,
		edits: []edit{{"indexed/tombs.go",
			"\tif !s.destroyed || len(s.listeners) > 0 || ",
			"\tif !s.destroyed || "}},
		pkg: "./indexed", test: "TestDestroyedStreamsAreBuried",
	},
}
