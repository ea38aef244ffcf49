package main

// Bugs that show where an int has 32 bits. Linux on amd64 runs programs for 386 as well.
var platformExhibits = []exhibit{
	{
		name: "sizes-that-wrap", bug: "the size of a write in a log entry is a sum that wraps where an int has 32 bits, and what it refers to lies outside the entry", origin: ours, tier: b,
		edits: []edit{
			{"indexed/columns.go", "size := uint64(rowOverhead)*uint64(n) + keyBytes + valBytes //", "size := uint64(rowOverhead*n + int(keyBytes) + int(valBytes)) //"},
			{"indexed/limits.go", "math.MaxInt32 >> (3 * narrow)", "math.MaxInt32"},
		},
		pkg: "./indexed", test: "TestCountsThatWrapAnInt", goarch: "386",
	},
	{
		name: "larger-program-damages", bug: "a batch of more rows than an int of 32 bits counts is taken for damage of the whole manifest", origin: ours, tier: b,
		edits: []edit{{"indexed/batch.go", "b.rows = int64(min(r.uvarint(), math.MaxInt64))", "b.rows = int64(asInt(r.uvarint()))"}},
		pkg:   "./indexed", test: "TestBatchesOfALargerProgram", goarch: "386",
	},
	{
		name: "room-that-wraps", bug: "the room that a builder is given is a product that wraps where an int has 32 bits", origin: ours, tier: b,
		edits: []edit{
			{"indexed/columns.go", "b.keys = slices.Grow(b.keys, int(min(maxRoom, int64(len(b.keys)/b.Len())*like)))", "b.keys = slices.Grow(b.keys, min(maxRoom, len(b.keys)/b.Len()*int(like)))"},
			{"indexed/columns.go", "b.vals = slices.Grow(b.vals, int(min(maxRoom, int64(len(b.vals)/b.Len())*like)))", "b.vals = slices.Grow(b.vals, min(maxRoom, len(b.vals)/b.Len()*int(like)))"},
		},
		pkg: "./indexed", test: "TestColumnsBuilderGrows", goarch: "386",
	},
}
