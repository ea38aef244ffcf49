package main

// Bugs of the log and of files.
var logExhibits = []exhibit{
	{
		name: "ack-before-flush", bug: "an append is acknowledged before it was flushed", origin: "nats-server#7564", tier: a,
		plants: changes{drop},
		pkg:    "./file", test: "TestCrashAtEveryOperation",
	},
	{
		name: "directory-not-flushed", bug: "a new segment's name is not flushed before the segment is used", origin: "LevelDB and others (ALICE)", tier: b,
		plants: changes{drop},
		pkg:    "./file", test: "TestCrashAtEveryOperation",
	},
	{
		name: "growth-not-flushed", bug: "a header refers to space that is not in the file yet", origin: "redb", tier: b,
		plants: changes{drop, drop},
		pkg:    "./file", test: "TestCrashAtEveryOperation",
	},
	{
		name: "rename-before-flush", bug: "a blob gets its name before its contents are flushed", origin: "files of length 0 after a crash", tier: a,
		plants: changes{drop},
		pkg:    "./file", test: "TestBlobCrashAtEveryOperation",
	},
	{
		name: "damage-cuts-the-log", bug: "damage in the middle is taken for a torn tail: what follows is cut, and the log opens", origin: "nats-server#7549, prometheus#13152", tier: a,
		plants: changes{never},
		pkg:    "./file", test: "TestDamage",
	},
	{
		name: "torn-taken-for-whole", bug: "the checksum of a group is not looked at", origin: "torn writes", tier: b,
		plants: changes{never},
		pkg:    "./file", test: "TestCrashAtEveryOperation",
	},
	{
		name: "append-behind-a-torn-tail", bug: "a torn tail is left where it is, and the log goes on behind it", origin: "torn writes", tier: b,
		plants: changes{before("if h, ok, _ := newFrameReader(s).header(end.at); ok && h.kind == kindGroup {\nend.at.off += h.size()\n}")},
		pkg:    "./file", test: "TestCrashAtEveryOperation",
	},
	{
		name: "old-life-of-a-file", bug: "frames of a segment's earlier life are read as new ones", origin: "recycled log files", tier: b,
		plants: changes{instead("return 0")},
		pkg:    "./file", test: "TestCrashAtEveryOperation",
	},
	{
		name: "successor-not-durable", bug: "the end of a segment is marked before the next one exists", origin: "pebble#1213, of segments", tier: b,
		plants: changes{before("if err := l.writeMark(old, kindEnd, point{next: last + 1, off: l.write.off}); err != nil {\nreturn nil, l.fail(err)\n}\nif err := old.f.Datasync(); err != nil {\nreturn nil, l.fail(err)\n}"), drop, drop},
		pkg:    "./file", test: "TestCrashAtEveryOperation",
	},
	{
		name: "second-name-of-a-segment", bug: "a spare file that is also a segment is filled again", origin: ours, tier: b,
		plants: changes{never},
		pkg:    "./file", test: "TestSpareThatIsASegment",
	},
	{
		name: "reader-cries-wolf", bug: "after a power cut a reader calls a whole location damaged", origin: ours, tier: b,
		plants: changes{never},
		pkg:    "./file", test: "TestReaderAfterPowerCut",
	},
	{
		name: "full-for-good", bug: "on a full disk nothing can be released, since that takes room first", origin: "etcd#11309", tier: b,
		plants: changes{drop},
		pkg:    "./file", test: "TestFullDiskReleasesHistory",
	},
	{
		name: "second-writer", bug: "a second process gets the lock that the first one holds", origin: "two writers", tier: a,
		plants: changes{instead("release, err := func() error { return nil }, error(nil)"), after("ok = ok || err == nil")},
		pkg:    "./file", test: "TestLockOfAnotherProcess",
	},
	{
		name: "lock-file-removed", bug: "with its lock file gone, a location has two writers", origin: ours, tier: b,
		plants: changes{swap("tryLock(d, true)", "error(nil)")},
		pkg:    "./file", test: "TestLockFileTakenAway",
	},
	{
		name: "full-disk-is-fatal", bug: "a segment that cannot be made for want of room stops the log for good", origin: "etcd#11309", tier: b,
		plants: changes{swap("storage.NoEffect(", "l.fail(")},
		pkg:    "./file", test: "TestFullDiskIsLeft",
	},
	{
		name: "flush-tried-again", bug: "a failed flush is tried again, succeeds, and is believed", origin: "PostgreSQL, 2018", tier: a,
		plants: changes{around("if s.f.Datasync() != nil {\n", "\n}")},
		pkg:    "./file", test: "TestErrorAtEveryCall",
	},
	{
		name: "ack-behind-a-failed-mark", bug: "an append is acknowledged that no reader can see", origin: ours, tier: b,
		plants: changes{instead("if err := l.writeMark(s, kindMark, end); err != nil {\n_ = l.fail(err)\n}\nreturn nil")},
		pkg:    "./file", test: "TestFailedMark",
	},
	{
		name: "segment-change-missed", bug: "a follower goes on with the newest segment, and leaves out the end of the one before", origin: "followers of a log", tier: b,
		plants: changes{swap("append(segs, r.end.kept...)", "r.end.kept[len(r.end.kept)-1:]")},
		pkg:    "./file", test: "TestFollowersOfADyingWriter",
	},
	{
		name: "two-flushes-at-once", bug: "a flush of names succeeds beside one that fails, and is believed", origin: "PostgreSQL, 2018, of directories", tier: b,
		plants: changes{drop, drop},
		pkg:    "./file", test: "TestFlushesOfNamesFailTogether",
	},
	{
		name: "rename-half-failed", bug: "a rename that took effect and failed is found by a repetition and believed", origin: ours, tier: b,
		plants: changes{always},
		pkg:    "./file", test: "TestRenameThatFailedWithEffect",
	},
	{
		name: "segment-that-is-there", bug: "the rename that makes a segment takes effect and fails, and the segment before is written on", origin: ours, tier: b,
		plants: changes{swap("!errors", "errors")},
		pkg:    "./file", test: "TestSegmentRenameThatFailedWithEffect",
	},
}
