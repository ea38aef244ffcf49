// Package frontier is the arithmetic of times: antichains and descriptions.
//
// Times are uint64 and totally ordered, so an [Antichain] holds one time or
// none. An antichain {t} stands for "t and everything after it". The empty
// antichain {} stands for "no time at all": it is the greatest frontier, and
// says that no more times will ever come. It is never a stand-in for "unknown".
//
// A stream of updates has three frontiers, kept together in a [Description]:
//
//	         since            upper
//	           |                |
//	...........|################|- - - - - - - - -> time
//	 compacted |     definite   |  still arriving
//
// Every update with a time before the upper has arrived. Times before the since
// may have been moved up to it. A stream is definite on [since, upper): two
// readers see the same contents there, on any run.
package frontier
