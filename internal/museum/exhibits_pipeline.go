package main

// Bugs of sources and sinks.
var pipelineExhibits = []exhibit{
	{
		name: "nothing-new", bug: "a sink with nothing new to do never says how far its stream is", origin: ours, tier: b,
		edits: []edit{{"operators/sink/sink.go",
			"\t\ts.progress.Advance(d.Upper)\n",
			"\t\t_ = d\n"}},
		pkg: "./operators/sink", test: "TestProbe",
	},
	{
		name: "elements-shared", bug: "a sink keeps the slice that another branch of a FanOut has as well", origin: "go-streams FanOut", tier: b,
		edits: []edit{{"operators/sink/writer.go",
			"\tb.Updates = slices.Clone(b.Updates) // a branch of a FanOut may have the same slice\n",
			"\t_ = slices.Clone[[]int]\n"}},
		pkg: "./operators/...", test: "Test",
	},
}
