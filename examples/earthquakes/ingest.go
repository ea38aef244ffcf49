package main

import (
	"context"
	"fmt"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
)

type (
	writeQuakes = *persist.WriteHandle[string, Quake]
	readQuakes  = *persist.ReadHandle[string, Quake]
	quakeUpdate = persist.Update[string, Quake]
)

// batchSize is the number of reports that become durable at once. A real feed would use
// what arrives in one request.
const batchSize = 40

// ingest replays the reports into the stream, as updates at the times of their corrections,
// and seals those times. It returns the number of new reports, and the upper.
//
// To resume, ingest needs only the upper of the stream: a report before the upper is there
// already. Every batch is a compare-and-append. So two ingests at once, or an ingest that
// was killed and started again, write nothing twice.
func ingest(ctx context.Context, reports []Report, write writeQuakes, read readQuakes, durable func()) (int, frontier.Antichain, error) {
	known, upper, err := currentQuakes(ctx, read)
	if err != nil {
		return 0, upper, err
	}
	for len(reports) > 0 && !upper.Admits(reports[0].Updated) {
		reports = reports[1:]
	}
	fresh := len(reports)
	for len(reports) > 0 {
		n := min(batchSize, len(reports))
		// Reports of one time belong together: the seal covers all of it.
		for n < len(reports) && reports[n].Updated == reports[n-1].Updated {
			n++
		}
		next := frontier.At(reports[n-1].Updated + 1)
		var updates []quakeUpdate
		for _, r := range reports[:n] {
			if old, ok := known[r.ID]; ok {
				updates = append(updates, quakeUpdate{Key: r.ID, Val: old, Time: r.Updated, Diff: -1})
			}
			updates = append(updates, quakeUpdate{Key: r.ID, Val: r.Quake, Time: r.Updated, Diff: +1})
			known[r.ID] = r.Quake
		}
		if _, err := write.CompareAndAppend(ctx, updates, upper, next).Wait(ctx); err != nil {
			return 0, upper, fmt.Errorf("ingest: %w", err)
		}
		durable()
		upper, reports = next, reports[n:]
	}
	return fresh, upper, nil
}

// currentQuakes returns the newest record of each earthquake, and the upper.
func currentQuakes(ctx context.Context, read readQuakes) (map[string]Quake, frontier.Antichain, error) {
	snapshot, err := read.Snapshot(ctx)
	if err != nil {
		return nil, frontier.Antichain{}, err
	}
	defer snapshot.Close()
	known := make(map[string]Quake)
	upper := snapshot.Upper()
	if upper.IsEmpty() {
		return nil, upper, fmt.Errorf("stream %q is finished", read.StreamName())
	}
	for u, err := range snapshot.Current(ctx) {
		if err != nil {
			return nil, upper, err
		}
		known[u.Key] = u.Val
	}
	return known, upper, nil
}
