package file_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// TestCancelledTailIsNotHalfReplayed: a tail that cancels out is flushed to no batch.
// The log is truncated between an update and its retraction, so unless the manifest
// says that the tail was flushed, opening finds the retraction alone.
func TestCancelledTailIsNotHalfReplayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		cfg := persist.Config{FlushInterval: -1, FlushBytes: 4 << 10, MinStepInterval: time.Millisecond}
		segments := file.SegmentSize(file.MinSegmentSize, file.MinSegmentSize)
		client, err := file.Open(t.Context(), dir, cfg, segments)
		require.NoError(t, err)
		type update = persist.Update[string, string]
		small, _, err := persist.CreateOrLoad(t.Context(), client, "small", codec.String, codec.String)
		require.NoError(t, err)
		large, _, err := persist.CreateOrLoad(t.Context(), client, "large", codec.String, codec.String)
		require.NoError(t, err)
		both, err := persist.NewMultiWriteHandle(small, large)
		require.NoError(t, err)
		// Each command with a large update makes the tail of "large" due, and the round
		// writes an edit of the manifest; two of them fill a segment.
		write := func(key string, smalls ...update) {
			_, err := both.WriteAtomic(t.Context(), func(b *persist.AtomicWrite) error {
				require.NoError(t, persist.AddWrite(b, small, smalls))
				return persist.AddWrite(b, large, []update{{Key: key, Val: strings.Repeat("x", 5000), Time: 100, Diff: 1}})
			}).Wait(t.Context())
			require.NoError(t, err)
			<-time.After(time.Second) // of the bubble: the round is over
			synctest.Wait()
		}
		write("a", update{Key: "k", Time: 100, Diff: 1})
		write("b")
		write("c")
		write("d")
		write("e", update{Key: "k", Time: 100, Diff: -1}) // in the third segment
		// Now the tail of "small" is due as well, and nothing is left of it.
		big := strings.Repeat("y", 3000)
		_, err = small.Write(t.Context(), []update{{Key: "b", Val: big, Time: 100, Diff: 1}, {Key: "b", Val: big, Time: 100, Diff: -1}}).Wait(t.Context())
		require.NoError(t, err)
		<-time.After(time.Second) // of the bubble
		synctest.Wait()
		require.NoError(t, client.Stop())
		require.NoFileExists(t, dir+"/log/0000000000000001.log", "the log was not truncated, so nothing was tested")
		require.FileExists(t, dir+"/log/0000000000000003.log")

		client, err = file.Open(t.Context(), dir, cfg, segments)
		require.NoError(t, err)
		_, reader, err := persist.CreateOrLoad(t.Context(), client, "small", codec.String, codec.String)
		require.NoError(t, err)
		snapshot, err := reader.Snapshot(t.Context())
		require.NoError(t, err)
		updates, err := snapshot.ReadToEnd(t.Context())
		require.NoError(t, err)
		require.Empty(t, updates)
		require.NoError(t, snapshot.Close())
		require.NoError(t, client.Stop())
	})
}
