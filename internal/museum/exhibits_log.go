package main

// Bugs of the log and of files.
var logExhibits = []exhibit{
	{
		name: "ack-before-flush", bug: "an append is acknowledged before it was flushed", origin: "nats-server#7564", tier: a,
		edits: []edit{{
			"file/append.go",
			"\tif err := s.f.Datasync(); err != nil {\n\t\treturn fmt.Errorf(\"flush segment %s: %w\", s.name, err)\n\t}\n\tend := point",
			"\tend := point",
		}},
		pkg: "./file", test: "TestCrashAtEveryOperation",
	},
	{
		name: "directory-not-flushed", bug: "a new segment's name is not flushed before the segment is used", origin: "LevelDB and others (ALICE)", tier: b,
		edits: []edit{{"file/append.go", "\tif err := l.flushNames(); err != nil {\n\t\treturn nil, errors.Join(err, from.f.Close())\n\t}\n", ""}},
		pkg:   "./file", test: "TestCrashAtEveryOperation",
	},
	{
		name: "growth-not-flushed", bug: "a header refers to space that is not in the file yet", origin: "redb", tier: b,
		edits: []edit{
			{"file/spares.go", "\t\t\terr = s.f.Sync()\n", "\t\t\terr = nil\n"},
			{
				"file/append.go",
				"\tif err := s.f.Datasync(); err != nil {\n\t\treturn err\n\t}\n\tif err := s.f.Unlock()",
				"\tif err := s.f.Unlock()",
			},
		},
		pkg: "./file", test: "TestCrashAtEveryOperation",
	},
	{
		name: "rename-before-flush", bug: "a blob gets its name before its contents are flushed", origin: "files of length 0 after a crash", tier: a,
		edits: []edit{{"file/blob.go", "\t\terr = f.Sync()\n", "\t\terr = nil\n"}},
		pkg:   "./file", test: "TestBlobCrashAtEveryOperation",
	},
	{
		name: "damage-cuts-the-log", bug: "damage in the middle is taken for a torn tail: what follows is cut, and the log opens", origin: "nats-server#7549, prometheus#13152", tier: a,
		edits: []edit{{
			"file/recover.go",
			"\tif found {\n\t\treturn s.damaged(",
			"\tif found && false {\n\t\treturn s.damaged(",
		}},
		pkg: "./file", test: "TestDamage",
	},
	{
		name: "torn-taken-for-whole", bug: "the checksum of a group is not looked at", origin: "torn writes", tier: b,
		edits: []edit{{"file/frame.go", "\tif crc32.Checksum(payload, castagnoli) != h.sum {", "\tif false {"}},
		pkg:   "./file", test: "TestCrashAtEveryOperation",
	},
	{
		name: "append-behind-a-torn-tail", bug: "a torn tail is left where it is, and the log goes on behind it", origin: "torn writes", tier: b,
		edits: []edit{{
			"file/recover.go",
			"\t\tif err := l.inspectEnd(ctx, s, end, what); err != nil {",
			"\t\tif h, ok, _ := newWindow(s).header(end.at); ok && h.kind == kindGroup {\n\t\t\tend.at.off += h.size()\n\t\t}\n\t\tif err := l.inspectEnd(ctx, s, end, what); err != nil {",
		}},
		pkg: "./file", test: "TestCrashAtEveryOperation",
	},
	{
		name: "old-life-of-a-file", bug: "frames of a segment's earlier life are read as new ones", origin: "recycled log files", tier: b,
		edits: []edit{{"file/frame.go", "\treturn uint32(x) ^ uint32(x>>32)", "\treturn 0"}},
		pkg:   "./file", test: "TestCrashAtEveryOperation",
	},
	{
		name: "successor-not-durable", bug: "the end of a segment is marked before the next one exists", origin: "pebble#1213, of segments", tier: b,
		edits: []edit{
			{
				"file/append.go",
				"\ts, err := l.addSegment(old.index+1, last+1, max(need, MinSegmentSize), max(need, l.nextSize(old)))\n\tif err != nil {\n\t\treturn nil, err\n\t}\n\tif err := l.writeMark(old, kindEnd, point{next: last + 1, off: l.write.off}); err != nil {\n\t\treturn nil, l.fail(errors.Join(err, s.release()))\n\t}\n\tif err := old.f.Datasync(); err != nil {\n\t\treturn nil, l.fail(errors.Join(fmt.Errorf(\"flush end of segment %s: %w\", old.name, err), s.release()))\n\t}\n",
				"\tif err := l.writeMark(old, kindEnd, point{next: last + 1, off: l.write.off}); err != nil {\n\t\treturn nil, l.fail(err)\n\t}\n\tif err := old.f.Datasync(); err != nil {\n\t\treturn nil, l.fail(err)\n\t}\n\ts, err := l.addSegment(old.index+1, last+1, max(need, MinSegmentSize), max(need, l.nextSize(old)))\n\tif err != nil {\n\t\treturn nil, err\n\t}\n",
			},
		},
		pkg: "./file", test: "TestCrashAtEveryOperation",
	},
	{
		name: "second-name-of-a-segment", bug: "a spare file that is also a segment is filled again", origin: ours, tier: b,
		edits: []edit{{
			"file/spares.go",
			"\treturn ok && slices.Contains(names, segmentName(index)), nil",
			"\treturn ok && slices.Contains(names, segmentName(index)) && false, nil",
		}},
		pkg: "./file", test: "TestSpareThatIsASegment",
	},
	{
		name: "reader-cries-wolf", bug: "after a power cut a reader calls a whole location damaged", origin: ours, tier: b,
		edits: []edit{{"file/follow.go", "\tif tail.durable.next <= confirmed {", "\tif false && tail.durable.next <= confirmed {"}},
		pkg:   "./file", test: "TestReaderAfterPowerCut",
	},
	{
		name: "full-for-good", bug: "on a full disk nothing can be released, since that takes room first", origin: "etcd#11309", tier: b,
		edits: []edit{{"file/open.go", "\tblob.makeRoom = log.spares.giveBack\n", ""}},
		pkg:   "./file", test: "TestFullDiskReleasesHistory",
	},
	{
		name: "second-writer", bug: "a second process gets the lock that the first one holds", origin: "two writers", tier: a,
		edits: []edit{
			{"file/lock_os.go", "\trelease, err := fs.lockDir(filepath.Dir(name))\n\tif err != nil {\n\t\treturn nil, err\n\t}\n", "\trelease := func() error { return nil }\n"},
			{"file/lock_os.go", "\tok, err := l.TryLock()\n", "\tok, err := l.TryLock()\n\tok = ok || err == nil\n"},
		},
		pkg: "./file", test: "TestLockOfAnotherProcess",
	},
	{
		name: "lock-file-removed", bug: "with its lock file gone, a location has two writers", origin: ours, tier: b,
		edits: []edit{{"file/lock_os.go", "\t\tif err = tryLock(d, true); err != nil && !errors.Is(err, vfs.ErrHeld) {", "\t\tif err != nil {"}},
		pkg:   "./file", test: "TestLockFileTakenAway",
	},
	{
		name: "full-disk-is-fatal", bug: "a segment that cannot be made for want of room stops the log for good", origin: "etcd#11309", tier: b,
		edits: []edit{{"file/append.go", "\t\treturn nil, storage.NoEffect(fmt.Errorf(\"append to log %s: %w\", l.dir, err))\n\t}\n\tname :=", "\t\treturn nil, l.fail(fmt.Errorf(\"append to log %s: %w\", l.dir, err))\n\t}\n\tname :="}},
		pkg:   "./file", test: "TestFullDiskIsLeft",
	},
	{
		name: "flush-tried-again", bug: "a failed flush is tried again, succeeds, and is believed", origin: "PostgreSQL, 2018", tier: a,
		edits: []edit{{"file/append.go", "\tif err := s.f.Datasync(); err != nil {\n\t\treturn fmt.Errorf(\"flush segment %s: %w\", s.name, err)\n\t}\n\tend := point", "\tif s.f.Datasync() != nil {\n\t\tif err := s.f.Datasync(); err != nil {\n\t\t\treturn fmt.Errorf(\"flush segment %s: %w\", s.name, err)\n\t\t}\n\t}\n\tend := point"}},
		pkg:   "./file", test: "TestErrorAtEveryCall",
	},
	{
		name: "ack-behind-a-failed-mark", bug: "an append is acknowledged that no reader can see", origin: ours, tier: b,
		edits: []edit{{"file/append.go", "\treturn l.writeMark(s, kindMark, end)\n", "\tif err := l.writeMark(s, kindMark, end); err != nil {\n\t\t_ = l.fail(err)\n\t}\n\treturn nil\n"}},
		pkg:   "./file", test: "TestFailedMark",
	},
	{
		name: "segment-change-missed", bug: "a follower goes on with the newest segment, and leaves out the end of the one before", origin: "followers of a log", tier: b,
		edits: []edit{{"file/logreader.go", "newReading(append(segs, r.end.kept...), r.mu.cursor,", "newReading(r.end.kept[len(r.end.kept)-1:], r.mu.cursor,"}},
		pkg:   "./file", test: "TestFollowersOfADyingWriter",
	},
	{
		name: "two-flushes-at-once", bug: "a flush of names succeeds beside one that fails, and is believed", origin: "PostgreSQL, 2018, of directories", tier: b,
		edits: []edit{{"file/blob.go", "\tb.flushes.Lock()\n\tdefer b.flushes.Unlock()\n", ""}},
		pkg:   "./file", test: "TestFlushesOfNamesFailTogether",
	},
	{
		name: "rename-half-failed", bug: "a rename that took effect and failed is found by a repetition and believed", origin: ours, tier: b,
		edits: []edit{{"file/blob.go", "\t\tif removed == nil || ", "\t\tif removed == nil || removed != nil || "}},
		pkg:   "./file", test: "TestRenameThatFailedWithEffect",
	},
	{
		name: "segment-that-is-there", bug: "the rename that makes a segment takes effect and fails, and the segment before is written on", origin: ours, tier: b,
		edits: []edit{{"file/append.go", "removed != nil && !errors.Is(err, storage.ErrNoEffect)", "removed != nil && errors.Is(err, storage.ErrNoEffect)"}},
		pkg:   "./file", test: "TestSegmentRenameThatFailedWithEffect",
	},
}
