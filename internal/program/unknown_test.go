package program

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// forgetful loses the answer to the first group of several commands, and of the group
// whatever keep leaves out.
type forgetful struct {
	storage.Log
	keep func(group [][]byte) [][]byte
	lost *int // commands whose answer was lost
}

func (l forgetful) Append(ctx context.Context, expected storage.SeqNo, entries [][]byte) ([]storage.SeqNo, error) {
	<-time.After(time.Millisecond) // of the bubble: what is submitted meanwhile shares the next group
	if *l.lost > 0 || len(entries) == 1 {
		return l.Log.Append(ctx, expected, entries)
	}
	*l.lost = len(entries)
	_, err := l.Log.Append(ctx, expected, l.keep(entries))
	return nil, cmp.Or(err, errors.New("the answer was lost"))
}

// spectator is a test that fails without consequences.
type spectator struct {
	testing.TB
	said string
}

func (s *spectator) Helper()                           {}
func (s *spectator) Errorf(format string, args ...any) { s.said += fmt.Sprintf(format, args...) }
func (s *spectator) FailNow()                          { runtime.Goexit() }

// Of several commands with an unknown outcome a beginning may have happened, and
// nothing else: a storage that skips one is found out.
func TestUnknownOutcomesArePrefixes(t *testing.T) {
	// A burst of four writes of different rows: two of them at least share a group.
	burst := []byte{0, opBurst, 0, 2, 0, 0, 1, 0, 5, 1, 0, 10, 1, 0, 15, 1}
	for name, tt := range map[string]struct {
		keep  func(group [][]byte) [][]byte
		legal bool
	}{
		"none":                     {func([][]byte) [][]byte { return nil }, true},
		"the first":                {func(group [][]byte) [][]byte { return group[:1] }, true},
		"the first two":            {func(group [][]byte) [][]byte { return group[:2] }, true},
		"all":                      {func(group [][]byte) [][]byte { return group }, true},
		"all but the first":        {func(group [][]byte) [][]byte { return group[1:] }, false},
		"all but the last but one": {func(group [][]byte) [][]byte { return slices.Concat(group[:len(group)-2], group[len(group)-1:]) }, false},
		"the last":                 {func(group [][]byte) [][]byte { return group[len(group)-1:] }, false},
		"one twice":                {func(group [][]byte) [][]byte { return slices.Concat(group[:1], group[:1]) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				where, lost := mem.NewPlace("forgetful"), 0
				var clients []*persist.Client
				place := Place{
					Open: func(ctx context.Context, cfg persist.Config) (*persist.Client, error) {
						log, err := where.OpenLog(storage.LockInfo{Owner: "test"})
						require.NoError(t, err)
						blob, err := where.OpenBlob(storage.LockInfo{Owner: "test"})
						require.NoError(t, err)
						c, err := persist.Start(ctx, forgetful{log, tt.keep, &lost}, blob, cfg)
						clients = append(clients, c)
						return c, err
					},
					Struck: func() bool { return lost > 0 },
					Repair: func() {},
				}
				s := &spectator{TB: t}
				ended := make(chan struct{})
				var report Report
				go func() { // ends with the program, or its first failure
					defer close(ended)
					report = Run(s, place, burst) //nolint:testifylint // FailNow of s ends this goroutine alone
				}()
				<-ended
				for _, c := range clients {
					_ = c.Stop()
				}
				require.GreaterOrEqual(t, lost, 2)
				if tt.legal {
					require.Empty(t, s.said)
					require.Equal(t, lost, report.Unknown)
				} else {
					require.Contains(t, s.said, "is in none of the worlds")
				}
			})
		})
	}
}
