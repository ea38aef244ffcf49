package file

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/internal/proof"
)

// verdicts counts what became of damaged locations, over parallel runs.
type verdicts struct {
	mu sync.Mutex
	n  map[verdict]int
}

func newVerdicts() *verdicts { return &verdicts{n: map[verdict]int{}} }

func (v *verdicts) add(of verdict) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.n[of]++
}

func (v *verdicts) total() (n int) {
	for _, of := range v.n {
		n += of
	}
	return n
}

// everyByte reports whether the tier that runs damages every byte. The others damage
// those that are used.
func everyByte() bool { return proof.Pick(false, false, true) }

// used are the offsets of the bytes of a file that say something. Left out are, of a
// spare, all behind the header, where nothing is looked for; of a segment, the rest of
// the header's page, and most of what no frame takes; and of a run of more than 64
// equal bytes, as long keys are, seven in eight: a checksum covers the whole of it.
func (s *damageStore) used(t *testing.T, name string) (offsets []int) {
	data := s.m.Contents(name)
	index, segment := segmentIndex(filepath.Base(name))
	if everyByte() || !segment && !strings.HasPrefix(filepath.Base(name), sparePrefix) {
		for off := range data {
			offsets = append(offsets, off)
		}
		return offsets
	}
	for off := range segmentHeaderSize {
		offsets = append(offsets, off)
	}
	if !segment {
		return offsets
	}
	frames := groups(t, s.m, index)
	end := int(frames[len(frames)-1].off) + markSize
	run := 0 // of bytes like this one, before it
	for off := segmentDataStart; off < end; off++ {
		if run++; data[off] != data[off-1] {
			run = 0
		}
		if run <= 64 || off%8 == 0 {
			offsets = append(offsets, off)
		}
	}
	for off := end; off < len(data); off += 509 {
		offsets = append(offsets, off)
	}
	return offsets
}

// Every byte of a location, damaged: one bit of it, or all of them to zeros or ones. The
// same contents, or an error that says where; never other contents or fewer, never a
// panic, and little memory. Whatever the damage, a refused opening changes nothing, and
// streams that have no part in it can be read.
func TestDamagedBytes(t *testing.T) {
	s := sharedDamageStore(t)
	every := proof.Pick(197, 19, 1)
	all, seed := newVerdicts(), proof.Seed(t)
	t.Run("files", func(t *testing.T) {
		for n, name := range s.files() {
			offsets := s.used(t, name)
			t.Run(filepath.Base(name), func(t *testing.T) {
				t.Parallel()
				rng := rand.New(rand.NewPCG(seed, uint64(n)))
				for i := 0; i < len(offsets); i += every {
					off := offsets[i]
					was := s.m.Contents(name)[off]
					b := []byte{was ^ 1<<rng.IntN(8), 0, 0xff}[rng.IntN(3)]
					if b == was {
						b ^= 1 << rng.IntN(8)
					}
					all.add(s.judge(t, damage{
						what: fmt.Sprintf("%#x for %#x at offset %d of %s", b, was, off, name), file: name, from: int64(off),
						apply: func(m *disk.Disk) { m.Edit(name)[off] = b },
					}, off%16 == 0))
					if t.Failed() {
						return
					}
				}
			})
		}
	})
	if t.Failed() {
		return
	}
	t.Log(all.n)
	require.Zero(t, all.n[shorter], "a byte is not a group and its mark")
	require.Greater(t, all.n[located], all.total()/2)
	require.NotZero(t, all.n[harmless])
	proof.Reached(t, 3, "bytes damaged", all.total())
}
