package file

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// A stream with a tail is destroyed, and the log lets go of the tail. A power cut then
// takes the mark behind the command that destroyed it, so that a reader that comes
// first does not see it: to the reader the stream is there, and nothing of it is missing.
func TestReaderAfterDestroyAndPowerCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, m := t.Context(), disk.New()
		cfg := persist.Config{FlushInterval: -1, FlushBytes: 4 << 10, MinStepInterval: time.Millisecond}
		c, err := Open(ctx, "/db", cfg, withFileSystem(m), SegmentSize(MinSegmentSize, MinSegmentSize))
		require.NoError(t, err)
		defer c.Close()
		write := func(stream, val string) {
			w, _, err := persist.CreateOrLoad(ctx, c, stream, codec.String, codec.Unit)
			require.NoError(t, err)
			_, err = w.Write(ctx, []persist.Update[string, struct{}]{{Key: val, Time: 1, Diff: 1}}).Wait(ctx)
			require.NoError(t, err)
			<-time.After(time.Second) // of the bubble: the round is over
			synctest.Wait()
		}
		write("small", "a")
		for range 4 { // each goes to a batch, and the manifest says that "small" has a tail
			write("large", strings.Repeat("b", 5000))
		}
		_, err = c.Destroy(ctx, "small")
		require.NoError(t, err)
		<-time.After(time.Minute)
		synctest.Wait()

		var left *disk.Disk
		m.Alone(func() {
			require.False(t, m.Has(seg(1)), "the log was not truncated, so nothing is tested")
			left = m.CrashKeepingNames()
		})
		r, err := OpenRead(ctx, "/db", cfg, withFileSystem(left))
		require.NoError(t, err)
		require.NoError(t, r.Close())
	})
}
