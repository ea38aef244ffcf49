package program

import (
	"math"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/tidemarktest"
)

// code reads a program. After its end there are zeros.
type code []byte

func (c *code) byte() (b byte) {
	if len(*c) > 0 {
		b, *c = (*c)[0], (*c)[1:]
	}
	return b
}

// below returns a number less than n.
func (c *code) below(n int) int { return int(c.byte()) % n }

// time draws a time around a frontier, or anywhere near the beginning or the end.
func (c *code) time(around frontier.Antichain) uint64 {
	t, _ := around.Elem()
	switch b := c.byte(); {
	case b == 255:
		return math.MaxUint64
	case b >= 192:
		return uint64(b & 15)
	case b >= 160:
		return t - min(t, uint64(b&3))
	default:
		return t + min(math.MaxUint64-t, uint64(b&7))
	}
}

// frontier draws a frontier around another one.
func (c *code) frontier(around frontier.Antichain) *frontier.Antichain {
	a := frontier.At(c.time(around))
	if c.byte() == 255 {
		a = frontier.Empty()
	}
	return &a
}

// Few keys and values, so that updates meet. Among them are the empty one, one that is the
// beginning of another, and one that fills parts by itself.
var (
	keys  = []string{"a", "", "a\x00", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"}
	vals  = []string{"", "1", "\u00ff", "22222222222222222222222222222222222222222222222222222222"}
	diffs = []int64{1, -1, 2, -2}
)

// updates draws one to four updates. A stream with this upper may accept or refuse them.
func (c *code) updates(upper frontier.Antichain) []tidemarktest.Update {
	updates := make([]tidemarktest.Update, 1+c.below(4))
	for i := range updates {
		b := c.byte()
		updates[i] = tidemarktest.Update{Key: keys[b&3], Val: vals[b>>2&3], Diff: diffs[b>>4&3], Time: c.time(upper)}
	}
	return updates
}
