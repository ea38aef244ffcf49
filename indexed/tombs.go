package indexed

// A destroyed stream is first dying, then buried. It is dying while something needs it:
// listeners with events left, or the manifest, which must name the end of the stream. Of a
// buried stream only the name and the id stay, because they are never used again.

// tombs are the names and ids of buried streams. There may be very many.
type tombs struct {
	ids   map[string]StreamID
	names map[StreamID]string
}

// buryLocked buries a destroyed stream if nothing needs it any more.
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

// buryAllLocked buries every stream that can be buried. It is called when the manifest, or
// the edit that is about to be written, has all changes.
func (st *state) buryAllLocked() {
	for _, s := range st.dying {
		st.buryLocked(s)
	}
}

// isBuried reports whether a buried stream had this name.
func (st *state) isBuried(name string) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	_, ok := st.tombs.ids[name]
	return ok
}

// buried returns the name of a buried stream.
func (st *state) buried(id StreamID) (name string, ok bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	name, ok = st.tombs.names[id]
	return name, ok
}
