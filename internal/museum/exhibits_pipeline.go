package main

// Bugs of sources and sinks.
var pipelineExhibits = []exhibit{
	{
		name: "nothing-new", bug: "a sink with nothing new to do never says how far its stream is", origin: ours, tier: b,
		plants: changes{drop},
		pkg:    "./operators/sink", test: "TestProbeBeforeTheFirstElement",
	},
	{
		name: "elements-shared", bug: "a sink keeps the slice that another branch of a FanOut has as well", origin: "go-streams FanOut", tier: b,
		plants: changes{swap("b.Updates =", "_ =")},
		pkg:    "./operators/sink", test: "TestElementsAreCopied",
	},
	{
		name: "seal-on-close", bug: "a sink seals when its input closes", origin: "go-streams: close means done, cancelled or failed", tier: a,
		plants: changes{before("_, _ = w.write.Finish(w.ctx).Wait(w.ctx)")},
		pkg:    "./operators", test: "TestTrap13ClosedInTheMiddle",
	},
	{
		name: "ended-goroutine", bug: "a function that ends its goroutine leaves an empty batch, which is sealed", origin: ours, tier: b,
		plants: changes{drop},
		pkg:    "./operators", test: "TestTrap10FunctionsThatFail",
	},
	{
		name: "error-kept-silent", bug: "a sink that could not write looks finished", origin: "go-streams sinks", tier: b,
		plants: changes{swap("s.errs =", "_ =")},
		pkg:    "./operators", test: "TestTrap09ForeignElements",
	},
	{
		name: "progress-when-sent", bug: "a sink says how far it is when it has sent, not when that is durable", origin: "progress before durability", tier: b,
		plants: changes{after("w.progress.Advance(b.Upper)")},
		pkg:    "./operators", test: "TestTrap11FailedWrites",
	},
}
