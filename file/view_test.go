//go:build unix

package file_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// valueOf is the value of a row: bytes that its key and size determine.
func valueOf(key string, size int) string {
	return strings.Repeat(key+"|", size/(len(key)+1)+1)[:size]
}

func (r row) update() textUpdate {
	return textUpdate{Key: r.Key, Val: valueOf(r.Key, r.Size), Time: r.Time, Diff: r.Diff}
}

func updatesOf(rows []row) []textUpdate {
	updates := make([]textUpdate, len(rows))
	for i, r := range rows {
		updates[i] = r.update()
	}
	return updates
}

func rowOf(u textUpdate) (row, error) {
	if u.Val != valueOf(u.Key, len(u.Val)) {
		return row{}, fmt.Errorf("the value of key %q was not written by anybody: %q", u.Key, u.Val)
	}
	return row{u.Key, len(u.Val), u.Time, u.Diff}, nil
}

// viewOf reads a snapshot to its end and closes it.
func viewOf(ctx context.Context, stream string, s *persist.Snapshot[string, string]) (*view, error) {
	v := &view{Stream: stream, SeqNo: s.SeqNo()}
	v.Since, _ = s.Since().Elem()
	v.Upper, _ = s.Upper().Elem()
	for u, err := range s.Consolidated(ctx) {
		if err != nil {
			return nil, errors.Join(fmt.Errorf("stream %q: %w", stream, err), s.Close())
		}
		r, err := rowOf(u)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("stream %q: %w", stream, err), s.Close())
		}
		v.Rows = append(v.Rows, r)
	}
	return v, s.Close()
}

// viewClient reads all live streams.
func viewClient(t *testing.T, client *persist.Client) (views []*view) {
	infos, err := client.Streams(t.Context())
	require.NoError(t, err)
	for _, info := range infos {
		_, reader, err := persist.CreateOrLoad(t.Context(), client, info.Name, codec.String, codec.String)
		require.NoError(t, err)
		s, err := reader.Snapshot(t.Context())
		require.NoError(t, err)
		v, err := viewOf(t.Context(), info.Name, s)
		require.NoError(t, err)
		views = append(views, v)
	}
	return views
}

// viewDir opens a location that nobody writes to, for reading alone, and returns all
// live streams.
func viewDir(ctx context.Context, dir string) (views []*view, err error) {
	cfg, segments := hurried()
	client, err := file.OpenRead(ctx, dir, cfg, segments)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	infos, err := client.Streams(ctx)
	if err != nil {
		return nil, err
	}
	for _, info := range infos {
		reader, err := persist.Load(ctx, client, info.Name, codec.String, codec.String)
		if err != nil {
			return nil, err
		}
		s, err := reader.Snapshot(ctx)
		if err != nil {
			return nil, err
		}
		v, err := viewOf(ctx, info.Name, s)
		if err != nil {
			return nil, err
		}
		views = append(views, v)
	}
	return views, nil
}
