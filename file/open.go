package file

import (
	"context"
	"errors"
	"fmt"

	"github.com/tidemark-go/tidemark/persist"
)

// Open opens a runtime on the directory dir, which is created if it does not
// exist. It has the directory locked until the runtime stops; the lock dies with
// the process. A relative path, and symbolic links, are followed once, here: what
// becomes of them later does not matter.
//
// Recovery replays the log, so it takes time in proportion to what the log holds
// (see persist.Config.MaxLogBytes); the context bounds it, from the first look on. If
// Open refuses a location, for whatever reason, it leaves everything as it was. If the disk
// fails while Open makes a new location, that is removed, as far as the disk lets it. If the
// disk fails while Open, having found an existing location in order, writes what recovery
// needs, what was done stays, as after a crash: leftovers that were removed, a file of torn
// bytes. No data is at risk, and the next opening goes on.
//
// If the disk hangs, Open returns a second after its context has ended. What it began
// goes on by itself until the disk answers, and until then the location is locked. Then
// everything is taken back; what had begun to write is finished instead, and the runtime
// is stopped at once. A process has 64 openings under way at most, whatever their
// locations; others wait for one to end, under their contexts.
//
// Errors: persist.ErrLocked while another process or runtime has the directory
// open, and errors.As gives a *storage.LockedError that says who;
// persist.ErrCorrupt with the file and place; ErrNewerFormat; those of the file
// system.
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

// OpenRead opens a read-only runtime on the directory dir, beside whatever process
// writes to it, and follows it: every read reflects what was acknowledged before.
// It takes no lock and writes nothing; a directory that does not exist is an empty
// location. Its context bounds it as that of Open does.
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
