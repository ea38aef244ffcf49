package file

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// readers is either kind of client.
type readers interface {
	Streams(context.Context) ([]persist.StreamInfo, error)
}

// loader opens a stream for reading.
type loader func(name string) (*rowReader, error)

func loadFrom(ctx context.Context, c *persist.ReadClient) loader {
	return func(name string) (*rowReader, error) {
		kc, vc := codecs(name)
		return persist.Load(ctx, c, name, kc, vc)
	}
}

func createIn(ctx context.Context, c *persist.Client) loader {
	return func(name string) (*rowReader, error) {
		kc, vc := codecs(name)
		_, r, err := persist.CreateOrLoad(ctx, c, name, kc, vc)
		return r, err
	}
}

// readStream returns a stream as storeModel.texts has it, and the position of the log
// that this reflects.
func readStream(ctx context.Context, name string, load loader) (text []byte, at storage.SeqNo, err error) {
	r, err := load(name)
	if err != nil {
		return nil, 0, err
	}
	s, err := r.Snapshot(ctx)
	if err != nil {
		return nil, 0, err
	}
	updates, err := s.ReadToEnd(ctx)
	if err = errors.Join(err, s.Close()); err != nil {
		return nil, 0, err
	}
	return appendStream(nil, name, s.Upper(), s.Since(), updates), s.SeqNo(), nil
}

// readStore returns all that an idle store shows, as storeModel.String has it, and the
// position of the log that this reflects; 0 if there is no stream to ask for it.
func readStore(ctx context.Context, c readers, load loader) (string, storage.SeqNo, error) {
	streams, err := c.Streams(ctx)
	if err != nil {
		return "", 0, err
	}
	slices.SortFunc(streams, func(a, b persist.StreamInfo) int { return cmp.Compare(a.Name, b.Name) })
	var text []byte
	var seqno storage.SeqNo
	for _, info := range streams {
		one, at, err := readStream(ctx, info.Name, load)
		if err != nil {
			return "", 0, err
		}
		if seqno != 0 && at != seqno {
			return "", 0, fmt.Errorf("snapshots of an idle store at %s and at %s", seqno, at)
		}
		text, seqno = append(text, one...), at
	}
	return string(text), seqno, nil
}
