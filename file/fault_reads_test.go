package file

import (
	"errors"
	"fmt"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// checkOwn reads everything in the writer's runtime: what was acknowledged, and
// nothing else.
func (r *storeRun) checkOwn() bool {
	return r.again("read", func() error {
		text, _, err := readStore(ctx0, r.db, func(name string) (*rowReader, error) {
			if h := r.read[name]; h != nil {
				return h, nil
			}
			return createIn(ctx0, r.db)(name)
		})
		if err == nil {
			require.True(r.t, r.opened(text), "the runtime shows\n%s\nwant\n%s\nand perhaps %d more", text, r.now, len(r.maybe))
		}
		return err
	})
}

// opened compares what a writer's runtime shows. What was unknown is known as soon
// as the location was opened again.
func (r *storeRun) opened(text string) bool {
	if r.stopped {
		return text == r.now.String()
	}
	return r.settle(text)
}

// follow opens a follower beside the writer.
func (r *storeRun) follow() (follower *persist.ReadClient) {
	r.again("follow", func() (err error) {
		if follower, err = startFollower(r.f, quietConfig()); err == nil {
			r.opens(follower)
		}
		return err
	})
	return follower
}

// look reads everything through the follower, and one stream by its keys. It may see what the writer does not
// know of, for it is durable, but never less than was acknowledged.
func (r *storeRun) look(follower *persist.ReadClient) {
	if follower == nil {
		return
	}
	ok := r.again("read beside the writer", func() error {
		text, _, err := readStore(ctx0, follower, loadFrom(ctx0, follower))
		if err == nil {
			_, ok := r.match(text)
			require.True(r.t, ok, "the follower shows\n%s\nwant\n%s", text, r.now)
			err = checkReadsByKey("a", loadFrom(ctx0, follower))
		}
		return err
	})
	require.True(r.t, ok || r.f.Sticky(), "following fails although the fault is over")
}

// held is a snapshot of a follower that is read late, after what it refers to is deleted.
type held struct {
	snap *persist.Snapshot[string, uint64]
	text string
}

// hold opens a snapshot and reads it, for readHeld to do it again.
func (r *storeRun) hold(follower *persist.ReadClient, name string) (h *held) {
	if follower == nil {
		return nil
	}
	r.again("open a snapshot to hold", func() error {
		reader, err := loadFrom(ctx0, follower)(name)
		if err != nil {
			return err
		}
		snap, err := reader.Snapshot(ctx0)
		if err != nil {
			return err
		}
		updates, err := snap.ReadToEnd(ctx0)
		if err != nil {
			return errors.Join(err, snap.Close())
		}
		h = &held{snap: snap, text: fmt.Sprint(updates)}
		r.opens(snap)
		return nil
	})
	return h
}

// readHeld reads what is held: what it was, whatever the owner did meanwhile.
func (r *storeRun) readHeld(h *held) {
	if h == nil {
		return
	}
	ok := r.again("read what is held", func() error {
		updates, err := h.snap.ReadToEnd(ctx0)
		if err == nil {
			require.Equal(r.t, h.text, fmt.Sprint(updates), "a snapshot that was held shows something else")
		}
		return err
	})
	require.True(r.t, ok || r.f.Sticky(), "reading what is held fails although the fault is over")
}

// letGo closes what is held.
func (r *storeRun) letGo(h *held) {
	if h != nil {
		require.NoError(r.t, r.closes(h.snap))
	}
}

// hearing is a listener and what it has to deliver.
type hearing struct {
	l    *persist.Listener[string, uint64]
	from int // updates of the stream before
	name string
}

func (r *storeRun) listen(name string) *hearing {
	s, l, err := r.read[name].Listen(ctx0)
	if err != nil {
		r.expected(err, "listen")
		return nil
	}
	require.NoError(r.t, s.Close())
	r.opens(l)
	return &hearing{l: l, from: len(r.written(name)), name: name}
}

// hear takes what the listener has: every acknowledged update since, in order, or
// an error. If one is missing it waits for ever, which the bubble reports.
func (r *storeRun) hear(h *hearing) {
	if h == nil {
		return
	}
	want := r.written(h.name)[h.from:]
	var got []rowUpdate
	for len(got) < len(want) {
		e, err := h.l.Next(ctx0)
		if err != nil {
			r.expected(err, "listen")
			break
		}
		got = append(got, e.Updates...)
	}
	require.Equal(r.t, fmt.Sprint(want[:len(got)]), fmt.Sprint(got), "what the listener heard")
	require.NoError(r.t, r.closes(h.l))
}

// verify opens what is left, without faults: exactly what was acknowledged is
// there, of what was unknown a beginning, and it can be written to.
func (r *storeRun) verify(m *disk.Disk, where string) {
	db, err := startOwner(m, quietConfig())
	require.NoError(r.t, err, where)
	r.opens(db)
	h := r.history
	check := func(what string) {
		text, _, err := readStore(ctx0, db, createIn(ctx0, db))
		require.NoError(r.t, err, where)
		require.True(r.t, h.settle(text), "%s, %s: there is\n%s\nwant\n%s\nand of %d more a beginning", where, what, text, h.now, len(h.maybe))
	}
	check("opened")
	w, _, err := persist.CreateOrLoad(ctx0, db, "a", codec.String, codec.Uint64)
	require.NoError(r.t, err, where)
	last := []rowUpdate{{Key: "last", Time: h.now.upper("a"), Diff: 1}}
	_, err = w.Write(ctx0, last).Wait(ctx0)
	require.NoError(r.t, err, where)
	h.add(created("a"), wrote("a", last))
	require.NoError(r.t, db.Maintain(ctx0), where)
	check("after maintenance")
	require.NoError(r.t, r.closes(db), where)
	require.Zero(r.t, m.Handles(), "%s: files are left open", where)
}
