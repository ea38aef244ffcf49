package main

// Bugs of files at the edges: surroundings that change under a location.
var fileEdgeExhibits = []exhibit{
	{
		name: "refusal-that-writes", bug: "an opening writes before it is known whether log and manifest go together", origin: ours, tier: b,
		edits: []edit{{"file/open.go", "\tc, err := persist.Start(ctx, log, blob, cfg)\n", "\t_ = o.settle(ctx)\n\tc, err := persist.Start(ctx, log, blob, cfg)\n"}},
		pkg:   "./file", test: "TestRefusedOpeningLeavesNoTrace",
	},
	{
		name: "refusal-that-leaves", bug: "an opening that is refused leaves the directories that it has made", origin: ours, tier: b,
		edits: []edit{{"file/opening.go", "\terr := errors.Join(l.restore(), l.unlock())\n\to.made.remove(c.fsys)\n", "\terr := errors.Join(l.restore(), l.unlock())\n"}},
		pkg:   "./file", test: "TestRefusedOpeningLeavesNoTrace",
	},
	{
		name: "segment-left-behind", bug: "a new location that the disk does not let be made leaves its first segment", origin: ours, tier: b,
		edits: []edit{{"file/log.go", "\t\tif l.first != \"\" {\n", "\t\tif false {\n"}},
		pkg:   "./file", test: "TestNewLocationOnAFailingDisk",
	},
	{
		name: "blob-before-the-log", bug: "a blob is written that reflects what the log has not made durable yet", origin: ours, tier: b,
		edits: []edit{{"file/blob.go", "\tif err := b.opening.beforeMutation(ctx); err != nil {", "\tif err := b.settle(ctx); err != nil {"}},
		pkg:   "./file", test: "TestNothingIsBuiltOnWhatIsNotSettled",
	},
	{
		name: "descriptor-after-the-deed", bug: "a directory is opened when it is to be flushed: without a descriptor nothing is written any more", origin: "descriptor limits", tier: b,
		edits: []edit{{"file/append.go", "\tif err := l.flushDir(l.names, l.dir); err != nil {\n\t\treturn l.fail(err)\n\t}\n", "\tnames, err := l.fsys.OpenDir(l.dir)\n\tif err != nil {\n\t\treturn l.fail(err)\n\t}\n\tif err := errors.Join(l.flushDir(names, l.dir), names.Close()); err != nil {\n\t\treturn l.fail(err)\n\t}\n"}},
		pkg:   "./file", test: "TestDurabilityNeedsNoDescriptor",
	},
	{
		name: "read-only-root", bug: "a location below a directory that cannot be flushed is not opened", origin: "read-only roots", tier: b,
		edits: []edit{{"file/fs.go", "err != nil && !cannotFlush(err) && ", "err != nil && "}},
		pkg:   "./file", test: "TestDirectoriesThatCannotBeFlushed",
	},
	{
		name: "made-and-not-flushed", bug: "a directory that a killed process made is believed to be on the disk", origin: ours, tier: b,
		edits: []edit{{"file/fs.go", "flushAbove(above, parent); err != nil || !isNew {", "error(nil); err != nil || !isNew {"}},
		pkg:   "./file", test: "TestKilledWhileDirectoriesAreMade",
	},
	{
		name: "relative-for-good", bug: "a relative path is followed whenever a file is opened", origin: "chdir", tier: b,
		edits: []edit{{"file/options.go", "\treturn c, absolute, nil\n", "\t_ = absolute\n\treturn c, dir, nil\n"}},
		pkg:   "./file", test: "TestPathsAreFollowedOnce",
	},
	{
		name: "shared-by-a-hard-link", bug: "a copy made by hard links, and the original, write into each other's segments", origin: "cp -al", tier: b,
		edits: []edit{{"file/present.go", "err != nil || n <= 1 {", "err != nil || n <= 1 || true {"}},
		pkg:   "./file", test: "TestCopyByHardLinks",
	},
	{
		name: "follower-of-a-copy", bug: "a follower goes on with a file that is the copy's by now, and hears nothing more", origin: ours, tier: b,
		edits: []edit{{"file/follow.go", "\tif at, err := s.f.IsAt(s.name); err != nil || at {", "\tif at, err := s.f.IsAt(s.name); err != nil || at || true {"}},
		pkg:   "./file", test: "TestCopyByHardLinks",
	},
	{
		name: "writing-to-nowhere", bug: "a location is removed, and its writer goes on acknowledging", origin: "rm -rf under a writer", tier: b,
		edits: []edit{{"file/present.go", "\tcase n == 0:\n\t\treturn nil, errGonePlace(\"segment\", active.name)\n", ""}},
		pkg:   "./file", test: "TestLocationIsGone",
	},
	{
		name: "deaf-opening", bug: "an opening reads the whole log although its context has ended", origin: ours, tier: b,
		edits: []edit{{"file/recover.go", "\t\tif err := ctx.Err(); err != nil {\n\t\t\treturn end, \"\", err\n\t\t}\n", "\t\tctx = context.Background()\n"}, {"file/recover.go", "\tw.stop = ctx.Err\n", ""}},
		pkg:   "./file", test: "TestLargeGroupIsReadInPieces",
	},
	{
		name: "hanging-reads-pile-up", bug: "reads of a disk that hangs are given up, and more are begun without limit", origin: ours, tier: b,
		edits: []edit{{"file/waiting.go", "semaphore.NewWeighted(maxUnderWay)", "semaphore.NewWeighted(1 << 40)"}},
		pkg:   "./file", test: "TestOperationsUnderWayAreBounded",
	},
	{
		name: "strange-name", bug: "a program whose name has a line break cannot open its location", origin: ours, tier: b,
		edits: []edit{{"file/lock.go", "\t\tif unicode.IsControl(r) || r == utf8.RuneError {", "\t\tif r == utf8.RuneError {"}, {"file/lock.go", "\t\"unicode\"\n", ""}},
		pkg:   "./file", test: "TestNamesOfPrograms",
	},
	{
		name: "deletes-what-is-pinned", bug: "the owner deletes a part that a follower's snapshot still reads", origin: ours, tier: b,
		edits: []edit{{"file/pins.go", "\tif p.locks == nil {\n\t\treturn true, do()", "\tif p.locks == nil || at >= 0 {\n\t\treturn true, do()"}},
		pkg:   "./file", test: "TestFollowersSnapshotsNeedFewDescriptors",
	},
	{
		name: "descriptor-for-each-part", bug: "a follower's snapshot keeps each of its parts open", origin: ours, tier: b,
		edits: []edit{{"file/blobreader.go", "if locks == nil || locks.TryLockByte", "if locks != nil || locks.TryLockByte"}},
		pkg:   "./file", test: "TestFollowersSnapshotsNeedFewDescriptors",
	},
	{
		name: "released-with-another", bug: "a reader lets go of a blob with another one that shares its byte", origin: ours, tier: b,
		edits: []edit{{"file/blobreader.go", "\tshared := r.bytes[at] > 0\n", "\tshared := false\n"}},
		pkg:   "./file", test: "TestBytesOfPins",
	},
	{
		name: "locks-that-lie-apart", bug: "a follower's snapshot takes time in proportion to the square of its parts", origin: ours, tier: b,
		edits: []edit{{"file/pins.go", "/pinRun*pinRun + n ", " ^ n<<30 "}},
		pkg:   "./file", test: "TestFollowersSnapshotsNeedFewDescriptors",
	},
	{
		name: "pinned-for-ever", bug: "what was deleted while it was pinned is never removed", origin: ours, tier: b,
		edits: []edit{{"file/pins.go", "\tmost = min(most, len(p.names))\n", "\tmost = 0\n"}},
		pkg:   "./file", test: "TestPinnedBlobsGo",
	},
}
