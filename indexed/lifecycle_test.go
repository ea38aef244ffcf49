package indexed

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// A refusal has what it implies, says what has failed, and is not changed by later ones.
func TestRefusalsHaveScopes(t *testing.T) {
	failed, later := errors.New("the disk is gone"), errors.New("something else")
	for _, test := range []struct {
		scope   scope
		implies []scope
		says    string
	}{
		{noRoom, nil, "makes no more room for writes since the disk failed"},
		{noCommands, []scope{noRoom}, "accepts no more writes since the disk failed"},
		{noBackground, []scope{noRoom}, "flushes, merges and deletes no more since the disk failed"},
		{noState, []scope{noRoom, noCommands, noBackground}, "accepts no more writes since the disk failed"},
	} {
		l := newLifecycle()
		for s := range scopes {
			require.NoError(t, l.refused(s))
			require.NoError(t, l.cause(s))
		}
		require.NoError(t, l.room.Err())
		require.True(t, l.refuse(test.scope, "the disk failed", failed))
		require.False(t, l.refuse(test.scope, "it was nothing", later))
		l.refuse(noRoom, "it was nothing", later)

		refused := map[scope]bool{test.scope: true}
		for _, s := range test.implies {
			refused[s] = true
		}
		for s := range scopes {
			err := l.refused(s)
			if !refused[s] {
				require.NoError(t, err)
				continue
			}
			require.ErrorIs(t, err, ErrStopped)
			require.ErrorIs(t, err, failed)
			require.Equal(t, failed, l.cause(s))
		}
		require.ErrorContains(t, l.refused(test.scope), test.says)
		require.Error(t, l.room.Err())
		require.ErrorIs(t, l.roomEnded(), failed)

		require.NoError(t, l.enter(), "reads go on")
		l.leave()
		l.stop()
		require.ErrorIs(t, l.enter(), ErrStopped)
		require.True(t, l.begin(func() {}), "the newest commands are still committed")
		l.end()
		require.False(t, l.begin(func() { t.Error("it began after the end") }))
		require.NotErrorIs(t, l.roomEnded(), failed, "it was stopped")
	}
}
