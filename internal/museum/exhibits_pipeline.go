package main

// Bugs of sources and sinks.
var pipelineExhibits = []exhibit{
	{
		name: "nothing-new", bug: "a sink with nothing new to do never says how far its stream is", origin: ours, tier: b,
		edits: []edit{{"operators/sink/sink.go",
			"\ts.progress.Advance(at.Upper)\n",
			""}},
		pkg: "./operators/sink", test: "TestProbeBeforeTheFirstElement",
	},
	{
		name: "elements-shared", bug: "a sink keeps the slice that another branch of a FanOut has as well", origin: "go-streams FanOut", tier: b,
		edits: []edit{{"operators/sink/batches.go",
			"\tb.Updates = slices.Clone(b.Updates) // a branch of a FanOut may have the same slice\n",
			"\t_ = slices.Clone[[]int]\n"}},
		pkg: "./operators/sink", test: "TestElementsAreCopied",
	},
	{
		name: "seal-on-close", bug: "a sink seals when its input closes", origin: "go-streams: close means done, cancelled or failed", tier: a,
		edits: []edit{{"operators/sink/writer.go", "\tif w.incomplete {\n\t\treturn nil // which", "\t_, _ = w.write.Finish(w.ctx).Wait(w.ctx)\n\tif w.incomplete {\n\t\treturn nil // which"}},
		pkg:   "./operators", test: "TestTrap13ClosedInTheMiddle",
	},
	{
		name: "ended-goroutine", bug: "a function that ends its goroutine leaves an empty batch, which is sealed", origin: ours, tier: b,
		edits: []edit{{"operators/mapbatches.go", "\t\t\tjob.err = errExited // unless the call returns\n", ""}},
		pkg:   "./operators", test: "TestTrap10FunctionsThatFail",
	},
	{
		name: "error-kept-silent", bug: "a sink that could not write looks finished", origin: "go-streams sinks", tier: b,
		edits: []edit{{"operators/sink/sink.go", "\ts.errs = append(s.errs, err)\n", "\t_ = err\n"}},
		pkg:   "./operators", test: "TestTrap09ForeignElements",
	},
	{
		name: "progress-when-sent", bug: "a sink says how far it is when it has sent, not when that is durable", origin: "progress before durability", tier: b,
		edits: []edit{{"operators/sink/writer.go", "\t\tw.next = b.Upper\n", "\t\tw.next = b.Upper\n\t\tw.progress.Advance(b.Upper)\n"}},
		pkg:   "./operators", test: "TestTrap11FailedWrites",
	},
}
