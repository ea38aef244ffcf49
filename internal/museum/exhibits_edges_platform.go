package main

// Bugs that show where an int has 32 bits. See narrow.
var platformExhibits = []exhibit{
	{
		name: "sizes-that-wrap", bug: "the size of a write in a log entry is a sum that wraps where an int has 32 bits, and what it refers to lies outside the entry", origin: ours, tier: b,
		plants: changes{after("size = uint64(int(size))"), swap(" >> (3 * Narrow)", "")},
		pkg:    "./indexed", test: "TestCountsThatWrapAnInt", narrow: true,
	},
	{
		name: "larger-program-damages", bug: "a batch of more rows than an int of 32 bits counts is taken for damage of the whole manifest", origin: ours, tier: b,
		plants: changes{instead("b.rows = int64(part.AsInt(r.Uvarint()))")},
		pkg:    "./indexed", test: "TestBatchesOfALargerProgram", narrow: true,
	},
	{
		name: "room-that-wraps", bug: "the room that a builder is given is a product that wraps where an int has 32 bits", origin: ours, tier: b,
		plants: changes{swap("*like", "*like<<32>>32"), swap("*like", "*like<<32>>32")},
		pkg:    "./indexed/internal/part", test: "TestColumnsBuilderGrows", narrow: true,
	},
}
