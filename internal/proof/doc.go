// Package proof is what the heavy tests of this module share: how much they do, which seeds
// they use, how a failure is repeated, and where the figures go that they reached.
// docs/testing.md says what runs in which tier.
//
// A test asks [Pick] for its counts and runs a body for many seeds with [Run]:
//
//	func TestCrashes(t *testing.T) {
//		n := proof.Pick(2, 20, 400)
//		proof.Run(t, n, func(t *testing.T, seed uint64) {
//			rng := rand.New(rand.NewPCG(seed, 0))
//			...
//		})
//		proof.Reached(t, 1, "images", images.Load())
//	}
//
// A failure prints one command that repeats it, with the seed.
//
// Variables of the environment:
//
//   - TIDEMARK_TIER is A, B or C. If it is empty or not set, the tier is smoke, as in plain
//     go test.
//   - TIDEMARK_SEED runs that seed alone.
//   - TIDEMARK_FIGURES is a file to which figures are appended.
package proof
