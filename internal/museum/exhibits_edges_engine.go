package main

// Bugs at the edges of the engine: limits, arguments, outages, many of something.
var engineEdgeExhibits = []exhibit{
	{
		name: "log-of-frames", bug: "the log's limit counts entries, and not what the log writes around them", origin: ours, tier: b,
		plants: changes{after("around = 0")},
		pkg:    "./indexed", test: "TestLogBytesAreStoredBytes",
	},
	{
		name: "group-beyond-the-log", bug: "a group of commands is more than the log takes, and all of them fail", origin: ours, tier: b,
		plants: changes{always, never},
		pkg:    "./indexed", test: "TestGroupsFitTheLog",
	},
	{
		name: "idle-is-written", bug: "a command that changes nothing is written, and listeners hear of it", origin: ours, tier: b,
		plants: changes{never},
		pkg:    "./indexed", test: "TestCommandsWithoutEffect",
	},
	{
		name: "idle-for-good", bug: "a command that changes nothing stays so when what it rested on has failed", origin: ours, tier: b,
		plants: changes{around("was := r.idle\n", "\nr.idle = r.idle || was")},
		pkg:    "./indexed", test: "TestCommandsWithoutEffectKeepTheirTurn",
	},
	{
		name: "since-wrapped", bug: "upper-1 at an upper of 0 moves the since to the end of time", origin: ours, tier: b,
		plants: changes{never},
		pkg:    "./indexed", test: "TestSinceThatWrapped",
	},
	{
		name: "follower-holds-all", bug: "a listener of a follower holds back deleted segments without limit", origin: ours, tier: b,
		plants: changes{swap("&f.meter", "new(logMeter)")},
		pkg:    "./indexed", test: "TestFollowersListenersMayLag",
	},
	{
		name: "line-per-failure", bug: "an outage of the log has a line for every command that it refuses", origin: ours, tier: b,
		plants: changes{always},
		pkg:    "./indexed", test: "TestLogOutage",
	},
	{
		name: "background-ends-silently", bug: "background work that ends for good does not say so", origin: ours, tier: b,
		plants: changes{drop},
		pkg:    "./indexed", test: "TestBackgroundWorkEndsWithALine",
	},
	{
		name: "shutdown-without-end", bug: "a runtime whose disk hangs cannot be given up", origin: ours, tier: b,
		plants: changes{swap("ctx", "context.Background()")},
		pkg:    "./indexed", test: "TestShutdownEndsWithItsContext",
	},
	{
		name: "refresh-behind-refresh", bug: "a read of a follower waits for another one that hangs, whatever its context says", origin: ours, tier: b,
		plants: changes{swap("(ctx, 1)", "(context.Background(), 1)")},
		pkg:    "./indexed", test: "TestFollowersCallsEndWithTheirContext",
	},
	{
		name: "forgets-the-destroyed", bug: "a full copy of the manifest leaves out streams that were destroyed long ago, and their names can be taken again", origin: ours, tier: b,
		plants: changes{drop},
		pkg:    "./indexed", test: "TestDestroyedStreamsAreBuried",
	},
	{
		name: "buried-alive", bug: "a destroyed stream is let go of while listeners have its last events to hear", origin: ours, tier: b,
		plants: changes{swap("len(s.listeners) > 0", "false")},
		pkg:    "./indexed", test: "TestDestroyedStreamsAreBuried",
	},
	{
		name: "operations-squared", bug: "a command of many operations takes time in proportion to their square", origin: ours, tier: b,
		plants: changes{never},
		pkg:    "./indexed", test: "TestCommandsOfManyStreams",
	},
	{
		name: "destroyed-and-kept", bug: "of a destroyed stream 850 bytes stay in memory for ever, all of its state", origin: ours, tier: b,
		plants: changes{drop},
		pkg:    "./indexed", test: "TestBytesOfDestroyedStreams",
	},
	{
		name: "room-never-given-back", bug: "a write whose context ends while it is encoded keeps its share of the room for updates for ever", origin: ours, tier: b,
		plants: changes{drop},
		pkg:    "./indexed", test: "TestContextsEndAtEveryLook",
	},
	{
		name: "range-without-end", bug: "numbers in Config may be as large as they like, and sums of them wrap", origin: ours, tier: b,
		plants: changes{swap("n.value > n.most, ", "")},
		pkg:    "./indexed", test: "TestConfigRanges",
	},
}
