package main

// Bugs of files at the edges: surroundings that change under a location.
var fileEdgeExhibits = []exhibit{
	{
		name: "refusal-that-writes", bug: "an opening writes before it is known whether log and manifest go together", origin: ours, tier: b,
		plants: changes{before("_ = o.settle(ctx)")},
		pkg:    "./file", test: "TestRefusedOpeningLeavesNoTrace",
	},
	{
		name: "refusal-that-leaves", bug: "an opening that is refused leaves the directories that it has made", origin: ours, tier: b,
		plants: changes{drop},
		pkg:    "./file", test: "TestRefusedOpeningLeavesNoTrace",
	},
	{
		name: "segment-left-behind", bug: "a new location that the disk does not let be made leaves its first segment", origin: ours, tier: b,
		plants: changes{never},
		pkg:    "./file", test: "TestNewLocationOnAFailingDisk",
	},
	{
		name: "blob-before-the-log", bug: "a blob is written that reflects what the log has not made durable yet", origin: ours, tier: b,
		plants: changes{swap("b.opening.beforeMutation", "b.settle")},
		pkg:    "./file", test: "TestNothingIsBuiltOnWhatIsNotSettled",
	},
	{
		name: "descriptor-after-the-deed", bug: "a directory is opened when it is to be flushed: without a descriptor nothing is written any more", origin: "descriptor limits", tier: b,
		plants: changes{before("if names, err := l.fsys.OpenDir(l.dir); err != nil {\nreturn l.fail(err)\n} else if err := names.Close(); err != nil {\nreturn l.fail(err)\n}")},
		pkg:    "./file", test: "TestDurabilityNeedsNoDescriptor",
	},
	{
		name: "read-only-root", bug: "a location below a directory that cannot be flushed is not opened", origin: "read-only roots", tier: b,
		plants: changes{swap("!cannotFlush(err) && ", "")},
		pkg:    "./file", test: "TestDirectoriesThatCannotBeFlushed",
	},
	{
		name: "made-and-not-flushed", bug: "a directory that a killed process made is believed to be on the disk", origin: ours, tier: b,
		plants: changes{swap("flushAbove(above, parent)", "error(nil)")},
		pkg:    "./file", test: "TestKilledWhileDirectoriesAreMade",
	},
	{
		name: "relative-for-good", bug: "a relative path is followed whenever a file is opened", origin: "chdir", tier: b,
		plants: changes{instead("_ = absolute\nreturn c, dir, nil")},
		pkg:    "./file", test: "TestPathsAreFollowedOnce",
	},
	{
		name: "shared-by-a-hard-link", bug: "a copy made by hard links, and the original, write into each other's segments", origin: "cp -al", tier: b,
		plants: changes{always},
		pkg:    "./file", test: "TestCopyByHardLinks",
	},
	{
		name: "follower-of-a-copy", bug: "a follower goes on with a file that is the copy's by now, and hears nothing more", origin: ours, tier: b,
		plants: changes{always},
		pkg:    "./file", test: "TestCopyByHardLinks",
	},
	{
		name: "writing-to-nowhere", bug: "a location is removed, and its writer goes on acknowledging", origin: "rm -rf under a writer", tier: b,
		plants: changes{never},
		pkg:    "./file", test: "TestLocationIsGone",
	},
	{
		name: "deaf-opening", bug: "an opening reads the whole log although its context has ended", origin: ours, tier: b,
		plants: changes{never, drop},
		pkg:    "./file", test: "TestLargeGroupIsReadInPieces",
	},
	{
		name: "hanging-reads-pile-up", bug: "reads of a disk that hangs are given up, and more are begun without limit", origin: ours, tier: b,
		plants: changes{swap("maxUnderWay", "1<<40")},
		pkg:    "./file", test: "TestOperationsUnderWayAreBounded",
	},
	{
		name: "strange-name", bug: "a program whose name has a line break cannot open its location", origin: ours, tier: b,
		plants: changes{swap("unicode", "false && unicode")},
		pkg:    "./file", test: "TestNamesOfPrograms",
	},
	{
		name: "deletes-what-is-pinned", bug: "the owner deletes a part that a follower's snapshot still reads", origin: ours, tier: b,
		plants: changes{always},
		pkg:    "./file", test: "TestFollowersSnapshotsNeedFewDescriptors",
	},
	{
		name: "descriptor-for-each-part", bug: "a follower's snapshot keeps each of its parts open", origin: ours, tier: b,
		plants: changes{swap("locks == nil", "locks != nil")},
		pkg:    "./file", test: "TestFollowersSnapshotsNeedFewDescriptors",
	},
	{
		name: "released-with-another", bug: "a reader lets go of a blob with another one that shares its byte", origin: ours, tier: b,
		plants: changes{never},
		pkg:    "./file", test: "TestBytesOfPins",
	},
	{
		name: "locks-that-lie-apart", bug: "a follower's snapshot takes time in proportion to the square of its parts", origin: ours, tier: b,
		plants: changes{swap("/pinRun*pinRun + n", " ^ n<<30")},
		pkg:    "./file", test: "TestFollowersSnapshotsNeedFewDescriptors",
	},
	{
		name: "pinned-for-ever", bug: "what was deleted while it was pinned is never removed", origin: ours, tier: b,
		plants: changes{instead("most = 0")},
		pkg:    "./file", test: "TestPinnedBlobsGo",
	},
}
