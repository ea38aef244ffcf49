package main

// Bugs of what pipelines meet that are a little unlike the example: of sources, flows and
// codecs.
var edgesSourceExhibits = []exhibit{
	{
		name: "doubled-as-of", bug: "a source that goes on as of the sink's upper emits everything again", origin: ours, tier: b,
		edits: []edit{{"operators/source/resume.go", "\tcase !h.asOf.LessThan(lower):\n", "\tcase false:\n"}},
		pkg:   "./operators/source", test: "TestResumeIsExactOrRefused",
	},
	{
		name: "silent-source", bug: "a source that starts beyond its stream says nothing, for ever", origin: ours, tier: b,
		edits: []edit{{"operators/source/resume.go", "\tcase upper.LessThan(lower):\n", "\tcase false:\n"}},
		pkg:   "./operators/source", test: "TestRefusedResumptions",
	},
}
