package file

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
)

// An opening ends with its context, wherever it has come to: after a few more operations,
// none of which is large. Until it settles the log nothing has changed.
func TestOpeningEndsWithItsContext(t *testing.T) {
	s := sharedDamageStore(t)
	base := s.m.Clone()
	lay(t, base, "/db/blob/tmp/77", []byte("half"))

	for name, open := range map[string]func(ctx context.Context, m *disk.Disk) error{
		"owner": func(ctx context.Context, m *disk.Disk) error {
			c, err := Open(ctx, "/db", quietConfig(), withFileSystem(m))
			if err == nil {
				err = c.Stop()
			}
			return err
		},
		"follower": func(ctx context.Context, m *disk.Disk) error {
			c, err := OpenRead(ctx, "/db", quietConfig(), withFileSystem(m))
			if err == nil {
				err = c.Close()
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			ended := map[string]int{}
			for at := 1; ; at += 2 {
				m := base.Clone()
				ctx, cancel := context.WithCancel(ctx0)
				n, after, last := 0, 0, ""
				m.SetHook(func(op, name string) error {
					switch n++; {
					case n == at:
						last = op
						cancel()
					case n > at && op == "read":
						after++
					}
					return nil
				})
				before := m.Everything()
				err := open(ctx, m)
				cancel()
				m.SetHook(nil)
				if err == nil || last == "" { // it was over before it was noticed
					if last == "" {
						break
					}
					continue
				}
				require.ErrorIs(t, err, context.Canceled, "at %d, %s", at, last)
				require.LessOrEqual(t, after, 8, "reads after the context has ended at %d, %s", at, last)
				now := m.Everything()
				for name, contents := range now {
					require.Equal(t, before[name], contents, "%s has changed, at %d, %s", name, at, last)
				}
				delete(now, "/db/blob/tmp/77") // which is nobody's
				require.Len(t, now, len(before)-1)
				ended[last]++
			}
			for _, op := range []string{"list", "read", "open"} {
				require.NotZero(t, ended[op], "%v", ended)
			}
		})
	}
}

// A large group is read in pieces, so that who waits for it can give up.
func TestLargeGroupIsReadInPieces(t *testing.T) {
	m := disk.New()
	l := openMem(t, m)
	_, err := l.Append(ctx0, 0, [][]byte{make([]byte, 3*maxPiece)})
	require.NoError(t, err)
	require.NoError(t, l.Close())
	reads := 0
	ctx, cancel := context.WithCancel(ctx0)
	m.SetHook(func(op, name string) error {
		if op == "read" && ctx.Err() != nil {
			reads++
		}
		if op == "read" && name == newestSegment(m) {
			if reads == 0 && len(m.Contents(name)) > 3*maxPiece {
				cancel()
			}
		}
		return nil
	})
	_, err = openLog(ctx, "/db", []Option{withFileSystem(m)}, new(opening))
	require.ErrorIs(t, err, context.Canceled)
	require.LessOrEqual(t, reads, 1)
	m.SetHook(nil)
	require.Zero(t, m.Handles())
}
