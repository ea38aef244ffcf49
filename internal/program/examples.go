package program

import (
	"bytes"
	"slices"
)

// Examples returns programs that together use every command. They are seeds of fuzz tests.
func Examples() [][]byte {
	return [][]byte{
		// Two writes, a seal between them, and a look before and after a restart.
		{0, opWrite, 0, 1, 0, 0, 5, 1, opSeal, 0, 2, opCheck, 0, opWrite, 0, 0, 17, 3, opRestart, 0, opCheck, 0},
		// A write that comes too late, a seal and a compaction that go back.
		{1, opSeal, 1, 7, opWrite, 1, 0, 0, 192, opSeal, 1, 193, opAllow, 1, 3, 0, opAllow, 1, 192, 0, opCheck, 1},
		// Writes, seals and compaction, each round moved to batches, and merged.
		{
			0, opWrite, 0, 3, 0, 0, 5, 1, 10, 2, 15, 3, opSeal, 0, 2, opMaintain, 0, opWrite, 0, 3, 1, 1, 6, 2, 11, 3, 16, 4,
			opSeal, 0, 4, opMaintain, 0, opAllow, 0, 3, 0, opMaintain, 0, opWrite, 0, 3, 16, 0, 21, 5, 26, 6, 31, 7, opSeal, 0, 7,
			opMaintain, 0, opAllow, 0, 5, 0, opMaintain, 0, opCheck, 0, opAsOf, 0, 2, opAsOf, 0, 192, opRestart, 0, opCheck, 0,
		},
		// Compare-and-append, as expected and not; atomic writes over all streams.
		{
			2, opCompareAndAppend, 0, 3, 0, 0, 2, 0, 0, 5, 1, 10, 2, opCompareAndAppend, 0, 2, 0, 3, 197, 0, 0, 0, 0,
			opAtomic, 0, 1, 0, 0, 5, 1, 1, 3, 1, 2, 2, 3, 3, 0, 0, 1, 5, 2, 1, 4, opCheck, 0, opCheck, 1, opCheck, 2,
		},
		// A listener over writes, seals, maintenance and bursts, and a finished stream.
		{
			0, opListen, 0, opWrite, 0, 1, 0, 0, 5, 1, opSeal, 0, 1, opBurst, 0, 1, 1, 0, 1, 5, 2, 0, 10, 3, 2, 1, 1, 2, 2, 3, 3,
			opDrain, 0, opMaintain, 0, opWrite, 0, 0, 3, 3, opListen, 0, opFinish, 0, opDrain, 0, opWrite, 0, 0, 0, 0, opCheck, 0,
		},
		// A snapshot that is read after compaction, merging and a destroy; a follower.
		{
			0, opWrite, 2, 2, 0, 0, 5, 1, 10, 2, opHold, 2, opSeal, 2, 3, opMaintain, 2, opAllow, 2, 2, 0, opMaintain, 2, opFollow, 2,
			opDestroy, 2, opReadHeld, 0, opMaintain, 0, opWrite, 2, 0, 0, 0, opRestart, 0, opFollow, 0,
		},
		// So many batches that they are merged although no since lets them fold.
		slices.Concat([]byte{0}, bytes.Repeat([]byte{opWrite, 0, 1, 0, 0, 5, 1, opSeal, 0, 2, opMaintain, 0}, 12), []byte{opCheck, 0, opAsOf, 0, 2, opRestart, 0, opCheck, 0}),
		// The end of time.
		{3, opWrite, 1, 1, 0, 255, 5, 255, opSeal, 1, 255, opWrite, 1, 0, 16, 255, opAllow, 1, 255, 0, opMaintain, 1, opAllow, 1, 0, 255, opCheck, 1, opFinish, 1},
	}
}
