package main

// Bugs of reads by key.
var keysExhibits = []exhibit{
	{
		name: "unchecked-pages", bug: "a read by key takes the pages of a part as they are", origin: "every read past a checksum", tier: b,
		plants: changes{never},
		pkg:    "./indexed/internal/part", test: "TestKeyedReadsOfDamagedParts",
	},
	{
		name: "unchecked-index", bug: "a bit of a filter that was lost hides a key, or of an index a page", origin: "every read past a checksum", tier: b,
		plants: changes{never},
		pkg:    "./indexed/internal/part", test: "TestKeyedReadsOfDamagedParts",
	},
	{
		name: "unchecked-directory", bug: "a read by key looks where a damaged directory says", origin: "every read past a checksum", tier: b,
		plants: changes{never},
		pkg:    "./indexed/internal/part", test: "TestKeyedReadsOfDamagedParts",
	},
	{
		name: "filter-that-lies", bug: "a filter says of keys that are there that they are not", origin: "Bloom filters with another hash", tier: b,
		plants: changes{always},
		pkg:    "./indexed/internal/part", test: "TestKeyedReads",
	},
	{
		name: "filter-ends-a-part", bug: "a key that a filter excludes takes the keys behind it along", origin: "a slip of the pen", tier: b,
		plants: changes{instead("return d.pages(), nil")},
		pkg:    "./indexed/internal/part", test: "TestKeyedReads",
	},
	{
		name: "unclean-separator", bug: "rows of a key whose other rows are in the page before are not found", origin: "indexes with truncated keys", tier: b,
		plants: changes{always},
		pkg:    "./indexed/internal/part", test: "TestKeyedReads",
	},
	{
		name: "tail-rows-twice", bug: "the index of a tail keeps what was flushed, and reads by key have it twice", origin: ours, tier: b,
		plants: changes{never},
		pkg:    "./indexed", test: "TestSortedTail",
	},
	{
		name: "reads-pay-for-nothing", bug: "however often a stream is read by keys, its batches are not merged for that", origin: "trees that compact by size alone", tier: b,
		plants: changes{never},
		pkg:    "./indexed", test: "TestReadsPayForMerges",
	},
	{
		name: "prefix-of-ones", bug: "nothing begins with a prefix that ends with a byte of ones", origin: "prefix scans of key-value stores", tier: b,
		plants: changes{instead("end := prefix")},
		pkg:    "./persist", test: "TestViewOfPrefixesOfOnes",
	},
}
