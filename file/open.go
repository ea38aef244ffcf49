package file

import (
	"context"
	"errors"
	"fmt"

	"github.com/tidemark-go/tidemark/persist"
)

// Open opens a runtime on the directory dir, which is created if it does not exist. The
// directory is locked until the runtime stops. The lock ends with the process. A relative
// path, and symbolic links, are followed once, by Open. Later changes of them have no
// effect.
//
// Recovery replays the log. It takes time in proportion to what the log holds (see
// persist.Config.MaxLogBytes). The context bounds all of Open.
//
// If Open refuses a location, for whatever reason, it leaves everything as it was. If the
// disk fails, it depends on the location:
//
//	location                        what stays
//	new                             nothing, as far as the disk lets Open remove it
//	existing, and found in order    the finished steps of recovery, as after a crash: removed
//	                                leftovers, a file of torn bytes
//
// No data is at risk in either case, and the next opening goes on.
//
// If the disk hangs, Open returns a second after its context has ended. The work that it
// began goes on alone until the disk answers, and the location is locked until then.
// Afterwards everything is taken back. There is one exception: an opening that had begun to
// write is finished, and its runtime is stopped at once. A process has 64 openings under
// way at most, whatever their locations. Others wait for one to end, under their contexts.
//
// Errors: persist.ErrLocked while another process or runtime has the directory open, and
// errors.As gives a *storage.LockedError that names it; persist.ErrCorrupt with the file
// and place; ErrNewerFormat; those of the file system.
func Open(ctx context.Context, dir string, cfg persist.Config, opts ...Option) (*persist.Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("file: open %s: %w", dir, err)
	}
	opts = append([]Option{Logger(cfg.Logger)}, opts...)
	own, err := newConfig(opts)
	if err != nil {
		return nil, fmt.Errorf("file: open %s: %w", dir, err)
	}
	return openWhole(ctx, own.patience, "open "+dir,
		func(ctx context.Context) (*persist.Client, error) { return open(ctx, dir, cfg, opts) }, (*persist.Client).Stop)
}

func open(ctx context.Context, dir string, cfg persist.Config, opts []Option) (*persist.Client, error) {
	_, dir, err := locate(dir, opts) // once, for log and blobs
	if err != nil {
		return nil, fmt.Errorf("file: open %s: %w", dir, err)
	}
	o := new(opening)
	log, err := openLog(ctx, dir, opts, o)
	if err != nil {
		return nil, err
	}
	blob, err := openBlob(ctx, dir, opts, o)
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	//museum:full-for-good
	blob.makeRoom = log.spares.giveBack
	log.beside = blob.present
	//museum:refusal-that-writes
	c, err := persist.Start(ctx, log, blob, cfg)
	if err == nil {
		if err = o.settle(ctx); err != nil {
			err = errors.Join(err, c.Stop())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("file: open %s: %w", dir, err)
	}
	return c, nil
}

// OpenRead opens a read-only runtime on the directory dir, beside the process that writes
// to it, and follows that process: every read reflects what was acknowledged before. It
// takes no lock and writes nothing. A directory that does not exist is an empty location.
// The context bounds OpenRead as it bounds Open.
//
// Errors: persist.ErrCorrupt; ErrNewerFormat; those of the file system.
func OpenRead(ctx context.Context, dir string, cfg persist.Config, opts ...Option) (*persist.ReadClient, error) {
	opts = append([]Option{Logger(cfg.Logger)}, opts...)
	own, err := newConfig(opts)
	if err != nil {
		return nil, fmt.Errorf("file: open %s for reading: %w", dir, err)
	}
	return openWhole(ctx, own.patience, "open "+dir+" for reading",
		func(ctx context.Context) (*persist.ReadClient, error) { return openRead(ctx, dir, cfg, opts) }, (*persist.ReadClient).Stop)
}

func openRead(ctx context.Context, dir string, cfg persist.Config, opts []Option) (*persist.ReadClient, error) {
	_, dir, err := locate(dir, opts) // once, for log and blobs
	if err != nil {
		return nil, fmt.Errorf("file: open %s for reading: %w", dir, err)
	}
	log, err := NewLogReader(dir, opts...)
	if err != nil {
		return nil, err
	}
	blob, err := NewBlobReader(dir, opts...)
	if err != nil {
		_ = log.Close()
		return nil, err
	}
	c, err := persist.StartFollow(ctx, log, blob, cfg)
	if err != nil {
		return nil, fmt.Errorf("file: open %s for reading: %w", dir, err)
	}
	return c, nil
}
