//go:build unix

package file_test

import (
	"context"
	"errors"
	"sync"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

// heard is an event that a reader heard: rows, or a seal.
type heard struct {
	Stream string
	SeqNo  storage.SeqNo
	Rows   []row  `json:",omitempty"`
	Sealed uint64 `json:",omitempty"`
}

// readAlong opens a location for reading and says, for each stream, a snapshot and
// the events after it, and again when it was cut off. A line of its input makes it
// say a snapshot of all.
func readAlong(v *voice, role childRole) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	cfg, segments := hurried()
	client, err := file.OpenRead(ctx, role.Dir, cfg, segments)
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	failed := make(chan error, writers+2)
	var readers []*textReader
	for _, name := range fixedStreams() {
		r, err := persist.Load(ctx, client, name, codec.String, codec.String)
		if err != nil {
			return err
		}
		readers = append(readers, r)
		group.Go(func() {
			for ctx.Err() == nil {
				if err := listenUntilCutOff(ctx, v, name, r); err != nil && ctx.Err() == nil {
					failed <- err
					return
				}
			}
		})
	}
	v.say(said{What: "open"})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			if _, ok := v.order(); !ok {
				return
			}
			for i, r := range readers {
				s, err := r.Snapshot(ctx)
				if err != nil {
					failed <- err
					return
				}
				seen, err := viewOf(ctx, fixedStreams()[i], s)
				if err != nil {
					failed <- err
					return
				}
				v.say(said{What: "snapshot", View: seen})
			}
			v.say(said{What: "all"})
		}
	}()
	select {
	case err := <-failed:
		return err
	case <-ended:
	}
	cancel()
	group.Wait()
	return client.Stop()
}

// listenUntilCutOff says a snapshot and what follows.
func listenUntilCutOff(ctx context.Context, v *voice, name string, r *textReader) error {
	s, l, err := r.Listen(ctx)
	if err != nil {
		return err
	}
	defer l.Close()
	seen, err := viewOf(ctx, name, s)
	if err != nil {
		return err
	}
	v.say(said{What: "listening", View: seen})
	for {
		e, err := l.Next(ctx)
		if errors.Is(err, persist.ErrLagged) {
			v.say(said{What: "lagged", Text: name})
			return nil
		}
		if err != nil {
			return err
		}
		h := &heard{Stream: name, SeqNo: e.SeqNo}
		for _, u := range e.Updates {
			r, err := rowOf(u)
			if err != nil {
				return err
			}
			h.Rows = append(h.Rows, r)
		}
		h.Sealed, _ = e.Sealed.Elem()
		v.say(said{What: "heard", Event: h})
	}
}

func fixedStreams() []string {
	names := []string{"shared", "race"}
	for i := range writers {
		names = append(names, ownStream(i))
	}
	return names
}
