package persist_test

import (
	"errors"

	"pgregory.net/rapid"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

func (h *history) stream() int { return rapid.IntRange(0, modelStreams-1).Draw(h.T, "stream") }

func (h *history) frontier(from frontier.Antichain, label string) *frontier.Antichain {
	least, ok := from.Elem()
	if !ok || rapid.IntRange(0, 40).Draw(h.T, label+" is empty") == 40 {
		f := frontier.Empty()
		return &f
	}
	f := frontier.At(uint64(max(0, int(least)+rapid.IntRange(-1, 4).Draw(h.T, label))))
	return &f
}

func (h *history) updates(lower frontier.Antichain, before uint64) []update {
	least, _ := lower.Elem()
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) update {
		return up(
			rapid.SampledFrom([]string{"a", "b", "c", "", "a longer key"}).Draw(t, "key"),
			rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "val"),
			least+rapid.Uint64Range(0, before-1).Draw(t, "time"),
			rapid.Int64Range(-2, 2).Draw(t, "diff"))
	}), 0, 6).Draw(h.T, "updates")
}

// change draws a change for a model that may not be in force yet. Most are legal.
func (h *history) change(m model) change {
	ch := change{stream: h.stream()}
	s := m[ch.stream]
	switch rapid.SampledFrom([]string{"write", "write", "write", "seal", "allow", "compare"}).Draw(h.T, "change") {
	case "write":
		ch.updates = h.updates(s.upper, 8)
	case "seal":
		ch.seal = h.frontier(s.upper, "seal")
	case "allow":
		ch.allow = h.frontier(s.since, "since")
	case "compare":
		expects, next := h.frontier(s.upper, "expected"), frontier.Empty()
		least, ok := expects.Elem()
		if !ok {
			return ch // an empty write
		}
		width := rapid.Uint64Range(1, 6).Draw(h.T, "width")
		if width < 6 {
			next = frontier.At(least + width)
		}
		ch.expects, ch.seal, ch.updates = expects, &next, h.updates(*expects, width)
	}
	return ch
}

// submit hands a command over: alone, through its stream's handle.
func (h *history) submit(c command) *persist.Future[storage.SeqNo] {
	if len(c) == 1 {
		ch, w := c[0], h.writes[c[0].stream]
		switch {
		case ch.expects != nil:
			return w.CompareAndAppend(h.ctx, ch.updates, *ch.expects, *ch.seal)
		case ch.allow != nil:
			return w.AllowCompaction(h.ctx, *ch.allow)
		case ch.seal == nil:
			return w.Write(h.ctx, ch.updates)
		}
		if t, ok := ch.seal.Elem(); ok {
			return w.Seal(h.ctx, t)
		}
		return w.Finish(h.ctx)
	}
	return h.multi.WriteAtomic(h.ctx, func(b *persist.AtomicWrite) (err error) {
		for _, ch := range c {
			w := h.writes[ch.stream]
			switch {
			case ch.expects != nil:
				err = errors.Join(err, persist.AddCompareAndAppend(b, w, ch.updates, *ch.expects, *ch.seal))
			case ch.allow != nil:
				err = errors.Join(err, persist.AddAllowCompaction(b, w, *ch.allow))
			case ch.seal == nil:
				err = errors.Join(err, persist.AddWrite(b, w, ch.updates))
			default:
				t, _ := ch.seal.Elem()
				err = errors.Join(err, persist.AddSeal(b, w, t))
			}
		}
		return err
	})
}

// command draws a command of one change, or of several.
func (h *history) command(m model) command {
	n := 1
	if h.multi != nil && rapid.IntRange(0, 3).Draw(h.T, "multi") == 0 {
		n = rapid.IntRange(2, 4).Draw(h.T, "changes")
	}
	var c command
	for range n {
		ch := h.change(m)
		if n > 1 && ch.expects == nil && ch.seal != nil && ch.seal.IsEmpty() {
			ch.seal = nil // AddSeal takes a time
		}
		c = append(c, ch)
	}
	return c
}
