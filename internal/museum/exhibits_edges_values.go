package main

// Bugs of keys, values, diffs and names that are unlike the usual ones.
var valuesExhibits = []exhibit{
	{
		name: "sums-wrap", bug: "diffs that add up to more than an int64 holds wrap around, in reads and for good in batches", origin: ours, tier: b,
		edits: []edit{{"indexed/merge.go", "\t\t\t\tcarry += more\n", "\t\t\t\t_ = more\n"}},
		pkg:   "./persist", test: "TestSumsNeverWrap",
	},
	{
		name: "sums-cut", bug: "a merge keeps of a large sum what one row can say", origin: ours, tier: b,
		edits: []edit{{"indexed/sums.go", "\treturn r.diff == 0 || yield(r, nil)\n", "\treturn true\n"}},
		pkg:   "./indexed", test: "TestConsolidateIsNaive",
	},
}
