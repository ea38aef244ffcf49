package main

// Bugs of the log and of files.
var logExhibits = []exhibit{
	{
		name: "ack-before-flush", bug: "an append is acknowledged before it was flushed", origin: "nats-server#7564", tier: a,
		edits: []edit{{"file/append.go",
			"\tif err := s.f.datasync(); err != nil {\n\t\treturn fmt.Errorf(\"flush segment %s: %w\", s.name, err)\n\t}\n\ts.note(at)",
			"\ts.note(at)"}},
		pkg: "./file", test: "TestCrashAtEveryOperation",
	},
	{
		name: "flush-tried-again", bug: "a failed flush is tried again, succeeds, and is believed", origin: "PostgreSQL, 2018", tier: a,
		edits: []edit{{"file/append.go",
			"\tif err := s.f.datasync(); err != nil {\n\t\treturn fmt.Errorf(\"flush segment %s: %w\", s.name, err)\n\t}\n\ts.note(at)",
			"\tif s.f.datasync() != nil {\n\t\tif err := s.f.datasync(); err != nil {\n\t\t\treturn fmt.Errorf(\"flush segment %s: %w\", s.name, err)\n\t\t}\n\t}\n\ts.note(at)"}},
		pkg: "./file", test: "TestErrorAtEveryOperation",
	},
	{
		name: "directory-not-flushed", bug: "a new segment's name is not flushed before it is used", origin: "LevelDB and ten more (ALICE)", tier: a,
		edits: []edit{{"file/append.go",
			"\tif err := flushDir(l.fsys, l.dir); err != nil {\n\t\treturn nil, l.fail(errors.Join(err, from.f.Close()))\n\t}\n",
			""}},
		pkg: "./file", test: "TestCrashAtEveryOperation",
	},
	{
		name: "growth-not-flushed", bug: "a header refers to space that is not in the file yet", origin: "redb", tier: a,
		edits: []edit{{"file/spares.go",
			"\t\t\terr = s.f.sync()\n",
			"\t\t\terr = nil\n"}},
		pkg: "./file", test: "TestCrashAtEveryOperation",
	},
	{
		name: "damage-cuts-the-log", bug: "damage in the middle is taken for a torn tail: what follows is cut, and the log opens", origin: "nats-server#7549, prometheus#13152", tier: a,
		edits: []edit{{"file/recover.go",
			"\tif found {\n\t\treturn s.damaged(",
			"\tif found && false {\n\t\treturn s.damaged("}},
		pkg: "./file", test: "TestDamage",
	},
	{
		name: "old-life-of-a-file", bug: "a spare file that is also a segment is filled again", origin: ours, tier: b,
		edits: []edit{{"file/spares.go",
			"if linked || len(free) > maxSpares",
			"if len(free) > maxSpares"}},
		pkg: "./file", test: "TestCrashAtEveryOperation",
	},
}
