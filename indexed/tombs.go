package indexed

// A stream that was destroyed is dying as long as somebody needs it: listeners that have
// events left, and the manifest that is to say so. Then it is buried: of it stay the name
// and the id, which are never used again.

// tombs are the names and ids of streams that are buried. There may be very many.
type tombs struct {
	ids   map[string]StreamID
	names map[StreamID]string
}

// buryLocked buries a stream if nobody needs it any more.
func (st *state) buryLocked(s *stream) {
	//museum:buried-alive
	if !s.destroyed || len(s.listeners) > 0 || st.changed[s.id] != nil || st.dying[s.id] == nil {
		return
	}
	delete(st.dying, s.id)
	//museum:destroyed-and-kept
	delete(st.names, s.name)
	if st.tombs.ids == nil {
		st.tombs = tombs{ids: make(map[string]StreamID), names: make(map[StreamID]string)}
	}
	st.tombs.ids[s.name], st.tombs.names[s.id] = s.id, s.name
	if st.onBury != nil {
		st.onBury(s.id)
	}
}

// buryAllLocked buries all that can be. It is called when the manifest, or what is to be
// written of it, tells of everything that has changed.
func (st *state) buryAllLocked() {
	for _, s := range st.dying {
		st.buryLocked(s)
	}
}

// isBuried reports whether a name was that of a stream that is buried.
func (st *state) isBuried(name string) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	_, ok := st.tombs.ids[name]
	return ok
}

// buried returns the name of a stream that is buried.
func (st *state) buried(id StreamID) (name string, ok bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	name, ok = st.tombs.names[id]
	return name, ok
}
