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
		name: "blob-before-the-log", bug: "a blob is written that reflects what the log has not made durable yet", origin: ours, tier: b,
		edits: []edit{{"file/blob.go", "\tif err := b.opening.beforeMutation(ctx); err != nil {", "\tif err := b.settle(ctx); err != nil {"}},
		pkg:   "./file", test: "TestNothingIsBuiltOnWhatIsNotSettled",
	},
}
