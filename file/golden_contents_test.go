package file_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

// goldenLock is what the LOCK files of golden stores say: opening writes it anew, and
// changes no byte.
var goldenLock = file.LockInfo(storage.LockInfo{Owner: "golden", Details: "store"})

// destroyedName is the name of a stream that was destroyed, in stores that have one.
const destroyedName = "destroyed"

// rawCodec is the codec of a name whose values are the bytes that it wrote.
func rawCodec(name string) persist.Codec[[]byte] {
	return codec.Func(name,
		func(dst, v []byte) ([]byte, error) { return append(dst, v...), nil },
		func(src []byte) ([]byte, error) { return append([]byte{}, src...), nil })
}

type rawReader = persist.ReadHandle[[]byte, []byte]

// lister is what both kinds of runtime have.
type lister interface {
	Streams(ctx context.Context) ([]persist.StreamInfo, error)
}

// describeStore returns everything there is to read, as text: streams in order of their ids,
// consolidated updates with the bytes of their keys and values, and how far the log goes.
func describeStore(ctx context.Context, c lister, load func(name, keys, vals string) (*rawReader, error)) string {
	var out strings.Builder
	streams, err := c.Streams(ctx)
	if err != nil {
		return fmt.Sprintf("streams: %s\n", goldenError("", err))
	}
	var last storage.SeqNo
	for _, s := range streams {
		fmt.Fprintf(&out, "%s %q of %s and %s, upper %s, since %s\n", s.ID, s.Name, s.KeyCodec, s.ValCodec, s.Upper, s.Since)
		read, err := load(s.Name, s.KeyCodec, s.ValCodec)
		if err != nil {
			fmt.Fprintf(&out, "\t%s\n", goldenError("", err))
			continue
		}
		snapshot, err := read.Snapshot(ctx)
		if err != nil {
			fmt.Fprintf(&out, "\t%s\n", goldenError("", err))
			continue
		}
		last = snapshot.SeqNo()
		for u, err := range snapshot.Consolidated(ctx) {
			if err != nil {
				fmt.Fprintf(&out, "\t%s\n", goldenError("", err))
				break
			}
			fmt.Fprintf(&out, "\t%s %s at %d: %+d\n", shortly(u.Key), shortly(u.Val), u.Time, u.Diff)
		}
		_ = snapshot.Close() // returns nil, as documented
	}
	if _, err := load(destroyedName, "string", "string"); err != nil {
		fmt.Fprintf(&out, "%q is %s\n", destroyedName, goldenError("", err))
	}
	fmt.Fprintf(&out, "seqno %s\n", last)
	return out.String()
}

// shortly describes a key or a value. Of a long one it has the beginning and a sum.
func shortly(b []byte) string {
	if len(b) <= 100 {
		return fmt.Sprintf("%q", b)
	}
	return fmt.Sprintf("%q... (%d bytes, xxhash64 %016x)", b[:20], len(b), xxhash.Sum64(b))
}

// describeReading opens a store for reading and returns what is there, or why it
// cannot be opened.
func describeReading(ctx context.Context, dir string) string {
	c, err := file.OpenRead(ctx, dir, goldenConfig())
	if err != nil {
		return "cannot be opened: " + goldenError(dir, err) + "\n"
	}
	defer c.Close()
	return describeStore(ctx, c, func(name, keys, vals string) (*rawReader, error) {
		return persist.Load(ctx, c, name, rawCodec(keys), rawCodec(vals))
	})
}

func openGolden(ctx context.Context, dir string) (*persist.Client, error) {
	return file.Open(ctx, dir, goldenConfig(), goldenLock, file.SegmentSize(file.MinSegmentSize, file.MinSegmentSize))
}

// describeWriting is describeReading for a runtime that is open.
func describeWriting(ctx context.Context, c *persist.Client) string {
	return describeStore(ctx, c, func(name, keys, vals string) (*rawReader, error) {
		if name == destroyedName {
			// It must not be made where it is not destroyed.
			if _, err := c.Description(ctx, name); err != nil {
				return nil, err
			}
		}
		_, read, err := persist.CreateOrLoad(ctx, c, name, rawCodec(keys), rawCodec(vals))
		return read, err
	})
}

// goldenError says what an error is and where, but not in its words, which may change.
func goldenError(dir string, err error) string {
	var corrupt *storage.CorruptError
	switch {
	case errors.As(err, &corrupt):
		return fmt.Sprintf("corrupt: %s at offset %d", strings.TrimPrefix(corrupt.Where, dir+"/"), corrupt.Offset)
	case errors.Is(err, persist.ErrDestroyed):
		return "destroyed"
	case errors.Is(err, persist.ErrUnknownStream):
		return "unknown"
	default:
		return err.Error()
	}
}
