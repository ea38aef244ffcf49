package indexed

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/storage"
)

// streamDelta is the changes of a stream that the manifest does not have yet.
type streamDelta struct {
	created        bool
	flushed        bool // a tail was flushed, even if it cancelled out and left no batch
	added, dropped []*batch
}

// drop notes that a batch is no longer in the stream.
func (d *streamDelta) drop(b *batch) {
	if i := slices.Index(d.added, b); i >= 0 {
		// The manifest never named it.
		d.added = slices.Delete(d.added, i, i+1)
		b.unlisted = true
		return
	}
	d.dropped = append(d.dropped, b)
}

// takeEditLocked returns the next edit: all changes that the manifest does not have, or the
// whole state if full. It also returns the batches that the manifest will no longer name.
// Changes after this call belong to a later edit.
func (st *state) takeEditLocked(version uint64, full bool) (*edit, []*batch) {
	e := &edit{version: version, applied: st.applied, nextID: st.nextID, nextBatch: st.nextBatch}
	var dropped []*batch
	for _, id := range slices.Sorted(maps.Keys(st.changed)) {
		s := st.changed[id]
		if !full {
			se := s.editLocked(st.applied)
			se.created, se.added = s.manifest.created, s.manifest.added
			for _, b := range s.manifest.dropped {
				se.dropped = append(se.dropped, b.id)
			}
			e.streams = append(e.streams, se)
		}
		dropped = append(dropped, s.manifest.dropped...)
		s.manifest = streamDelta{}
	}
	clear(st.changed)
	if full {
		for _, s := range st.names {
			se := s.editLocked(st.applied)
			se.created, se.added = true, s.set.all()
			e.streams = append(e.streams, se)
		}
		//museum:forgets-the-destroyed
		for name, id := range st.tombs.ids {
			e.streams = append(e.streams, streamEdit{id: id, created: true, destroyed: true, name: name, flushed: st.applied})
		}
	}
	st.buryAllLocked()
	slices.SortFunc(e.streams, func(a, b streamEdit) int { return cmp.Compare(a.id, b.id) })
	return e, dropped
}

func (s *stream) editLocked(applied storage.SeqNo) streamEdit {
	if s.tail.empty() {
		s.flushed, s.flushedUpper = applied, s.upper
	} else {
		// The log is kept from the tail on. With this position an opening can check that.
		s.flushed = max(s.flushed, s.tail.first()-1)
	}
	s.listed, s.unflushed = s.flushed, s.flushed < applied
	return streamEdit{
		id: s.id, destroyed: s.destroyed, name: s.name, keyCodec: s.keyCodec, valCodec: s.valCodec,
		upper: s.upper, since: s.since, flushed: s.flushed, flushedUpper: s.flushedUpper,
	}
}

// applyEditLocked brings the state to what an edit says. If the state has applied more of
// the log than the edit reflects, its frontiers stay. An edit that contradicts the state is
// damage: after that error the state must not be used.
func (st *state) applyEditLocked(e *edit) error {
	for i := range e.streams {
		if err := st.applyStreamEditLocked(e, &e.streams[i]); err != nil {
			return err
		}
	}
	if e.applied >= st.applied {
		st.applied, st.nextID = e.applied, e.nextID
	}
	st.nextBatch = e.nextBatch
	clear(st.changed)
	st.buryAllLocked()
	return nil
}

func (st *state) applyStreamEditLocked(e *edit, se *streamEdit) error {
	s := st.streams[se.id]
	if s == nil {
		if !se.created {
			if se.id < st.nextID && (se.destroyed || e.applied < st.applied) {
				return nil // the log has destroyed the stream
			}
			return fmt.Errorf("edit of %s, which does not exist", se.id)
		}
		if st.names[se.name] != nil {
			if st.names[se.name].destroyed {
				return nil
			}
			return fmt.Errorf("stream %s twice", quoteName(se.name))
		}
		if _, buried := st.tombs.ids[se.name]; buried {
			return nil
		}
		s = &stream{id: se.id, name: se.name, keyCodec: se.keyCodec, valCodec: se.valCodec}
		st.addStreamLocked(s)
		s.manifest = streamDelta{}
	}
	set, err := s.set.edited(se)
	if err != nil {
		return fmt.Errorf("stream %s: %w", quoteName(s.name), err)
	}
	if e.applied >= st.applied {
		//museum:since-forgotten
		s.upper, s.since = se.upper, se.since
	}
	s.flushed, s.flushedUpper, s.listed = se.flushed, se.flushedUpper, se.flushed
	s.unflushed = se.flushed < e.applied
	if err := s.validateSet(set, e.applied); err != nil {
		return fmt.Errorf("stream %s: %w", quoteName(s.name), err)
	}
	st.swapSetLocked(s, set)
	st.dropTailLocked(s, se.flushed)
	if se.destroyed && !s.destroyed {
		st.destroyLocked(s)
	}
	s.manifest = streamDelta{}
	return nil
}

// rebaseLocked turns a full copy into an edit of the present state.
func (st *state) rebaseLocked(e *edit) {
	for i := range e.streams {
		se := &e.streams[i]
		s := st.streams[se.id]
		if s == nil {
			continue
		}
		inBase := make(map[uint64]bool, len(se.added))
		for _, b := range se.added {
			inBase[b.id] = true
		}
		have := make(map[uint64]bool)
		for _, b := range s.set.all() {
			have[b.id] = true
			if !inBase[b.id] {
				se.dropped = append(se.dropped, b.id)
			}
		}
		se.added = slices.DeleteFunc(se.added, func(b *batch) bool { return have[b.id] })
	}
}

// edited returns the set without the batches that an edit drops, and with those that it
// adds.
func (s *batchSet) edited(se *streamEdit) (*batchSet, error) {
	next := &batchSet{}
	known := make(map[uint64]bool)
	keep := func(b *batch) bool {
		known[b.id] = true
		return !slices.Contains(se.dropped, b.id)
	}
	for _, b := range s.all() {
		if keep(b) {
			next.add(b)
		}
	}
	for _, id := range se.dropped {
		if !known[id] {
			return nil, fmt.Errorf("drops batch %d, which is not there", id)
		}
	}
	for _, b := range se.added {
		if known[b.id] {
			return nil, fmt.Errorf("adds batch %d twice", b.id)
		}
		known[b.id] = true
		next.add(b)
	}
	slices.SortFunc(next.trace, func(a, b *batch) int { return a.desc.Lower.Compare(b.desc.Lower) })
	slices.SortFunc(next.unsealed, func(a, b *batch) int { return cmp.Compare(a.after, b.after) })
	return next, nil
}

func (s *batchSet) add(b *batch) {
	if b.trace {
		s.trace = append(s.trace, b)
	} else {
		s.unsealed = append(s.unsealed, b)
	}
}

// validateSet checks the rules for the batches of a stream.
func (s *stream) validateSet(set *batchSet, applied storage.SeqNo) error {
	var upper frontier.Antichain
	for _, b := range set.trace {
		if b.desc.Lower != upper {
			return fmt.Errorf("%s does not follow on %s", b, upper)
		}
		upper = b.desc.Upper
		if s.since.LessThan(b.desc.Since) {
			return fmt.Errorf("%s is compacted beyond the since %s", b, s.since)
		}
	}
	if s.upper.LessThan(upper) {
		return fmt.Errorf("trace up to %s beyond the upper %s", upper, s.upper)
	}
	var through storage.SeqNo
	for _, b := range set.unsealed {
		if b.after < through {
			return fmt.Errorf("%s overlaps the one before, up to %s", b, through)
		}
		if s.since.LessThan(b.desc.Since) {
			return fmt.Errorf("%s is compacted beyond the since %s", b, s.since)
		}
		through = b.through
	}
	if through > applied || s.flushed > applied {
		return fmt.Errorf("batches up to %s and %s, but the manifest reflects the log up to %s", through, s.flushed, applied)
	}
	return nil
}
