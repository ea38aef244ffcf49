package file

// history is what was asked of a location: the commands that were acknowledged, in
// order, and after them those of which it is not known yet.
type history struct {
	sure, maybe []storeCommand
	now         storeModel // after the sure ones; nil if there are none
}

// add notes a command that was acknowledged.
func (h *history) add(commands ...storeCommand) {
	for _, c := range commands {
		h.sure = append(h.sure, c)
		h.now = h.now.apply(c)
	}
}

// match returns how many of the commands that are not known have taken effect,
// given what is there now. It reports false if no number explains it.
func (h *history) match(text string) (int, bool) {
	m := h.now
	for n := 0; ; n++ {
		switch {
		case m.String() == text:
			return n, true
		case n == len(h.maybe):
			return 0, false
		}
		m = m.apply(h.maybe[n])
	}
}

// settle is match, after which nothing is unknown any more.
func (h *history) settle(text string) bool {
	n, ok := h.match(text)
	if ok {
		h.add(h.maybe[:n]...)
		h.maybe = nil
	}
	return ok
}

// written returns the updates of a stream, in the order of the commands.
func (h *history) written(name string) (updates []rowUpdate) {
	for _, c := range h.sure {
		for _, p := range c.parts {
			if p.stream == name {
				updates = append(updates, p.updates...)
			}
		}
	}
	return updates
}
