package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/tidemark-go/tidemark/persist"
)

// printUppers prints how far each stream is complete.
func printUppers(ctx context.Context, out io.Writer, what string, client *persist.Client) error {
	streams, err := client.Streams(ctx)
	if err != nil {
		return err
	}
	for _, s := range streams {
		fmt.Fprintf(out, "%-12s %s at upper %s\n", s.Name, what, s.Upper)
	}
	return nil
}

// printTable prints the summaries as of the last sealed time.
func printTable(ctx context.Context, out io.Writer, read readSummaries) error {
	snapshot, err := read.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer snapshot.Close()
	fmt.Fprintf(out, "\n%-8s %-10s %8s %10s\n", "network", "day", "count", "strongest")
	for u, err := range snapshot.Current(ctx) {
		if err != nil {
			return err
		}
		network, day, _ := strings.Cut(u.Key, " ")
		// A group has one summary at any time: another multiplicity would be a bug.
		if u.Diff != 1 {
			return fmt.Errorf("summary of %s has multiplicity %d", u.Key, u.Diff)
		}
		fmt.Fprintf(out, "%-8s %-10s %8d %10.1f\n", network, strings.TrimSpace(day), u.Val.Count, u.Val.Strongest)
	}
	return nil
}
