package mem

import (
	"hash/fnv"
	"math/rand/v2"
)

// draws has random numbers for every operation, which depend on a seed and on that
// operation alone. So what happens to an append does not depend on whether it or a
// truncation comes first, where two goroutines begin them at one moment. Then a seed
// repeats a test.
//
// The owner of draws guards it.
type draws struct {
	seed uint64
	of   map[Op]*rand.Rand
}

func newDraws(seed uint64) draws { return draws{seed, make(map[Op]*rand.Rand)} }

// next returns the source of the next random number for an operation.
func (d draws) next(op Op) *rand.Rand {
	random := d.of[op]
	if random == nil {
		name := fnv.New64a()
		_, _ = name.Write([]byte(op))
		random = rand.New(rand.NewPCG(d.seed, name.Sum64()))
		d.of[op] = random
	}
	return random
}
