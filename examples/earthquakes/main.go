// Command earthquakes replays a week of the USGS earthquake feed into a durable stream. It
// keeps a second stream beside it: count and strongest magnitude per network and day,
// corrected as reports come in.
//
//	feed -> earthquakes (key: id, time: when the report was corrected)
//	             |
//	       batch source -> parallel map -> aggregate -> sink
//	                                                     |
//	                                                 summaries (key: network and day)
//
// Run it again: nothing is new. Kill it at any moment (-crash-after does this by itself),
// and run it again: it goes on where it was, and the table is the same. No file holds an
// offset, and nothing is acknowledged. The upper of each stream is its position, and is
// stored with the data.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/tidemark-go/tidemark"
	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

func main() {
	dir := flag.String("dir", "earthquakes.db", "directory of the data, or another location that tidemark.Open takes")
	feed := flag.String("feed", "", "GeoJSON feed to replay; default: one that comes with the example")
	crashAfter := flag.Int64("crash-after", 0, "kill the process at a random moment after so many batches; 0: never")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *dir, *feed, &crasher{after: *crashAfter}, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "earthquakes:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, dir, feed string, crash *crasher, out io.Writer) (err error) {
	reports, err := readFeed(feed)
	if err != nil {
		return err
	}
	client, err := tidemark.Open(ctx, dir, persist.Config{})
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := client.Close(); err == nil {
			err = closeErr
		}
	}()
	quakes, readQuakes, err := persist.CreateOrLoad(ctx, client, "earthquakes", codec.String, codec.JSON[Quake]())
	if err != nil {
		return err
	}
	sums, readSums, err := persist.CreateOrLoad(ctx, client, "summaries", codec.String, codec.JSON[Summary]())
	if err != nil {
		return err
	}
	if err := printUppers(ctx, out, "resumed", client); err != nil {
		return err
	}

	// The pipeline runs while the feed is replayed, as it would for a live feed.
	pipeline, err := startPipeline(ctx, readQuakes, sums, client, crash.durable)
	if err != nil {
		return err
	}
	fresh, upper, err := ingest(ctx, reports, quakes, readQuakes, crash.durable)
	if err != nil {
		_ = pipeline.stop()
		return err
	}
	if err := pipeline.waitFor(ctx, upper); err != nil {
		_ = pipeline.stop()
		return err
	}
	if err := pipeline.stop(); err != nil {
		return err
	}

	// A resumed pipeline does not need history, so both streams may forget it.
	if err := compact(ctx, upper, quakes, sums); err != nil {
		return err
	}
	if fresh == 0 {
		fmt.Fprintf(out, "of %d reports nothing new\n", len(reports))
	} else {
		fmt.Fprintf(out, "of %d reports %d new\n", len(reports), fresh)
	}
	if err := printUppers(ctx, out, "reached", client); err != nil {
		return err
	}
	return printTable(ctx, out, readSums)
}

// compact lets both streams forget times before the last sealed one. A resumed pipeline
// looks back no further.
func compact(ctx context.Context, upper frontier.Antichain, streams ...persist.Stream) error {
	last, ok := upper.Before()
	if !ok {
		return nil
	}
	both, err := persist.NewMultiWriteHandle(streams...)
	if err != nil {
		return err
	}
	_, err = both.AllowCompactionAll(ctx, frontier.At(last)).Wait(ctx)
	return err
}
