package main

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"
)

// One week of the USGS feed of all earthquakes, 31 January to 7 February 2018:
// U.S. Geological Survey, public domain.
//
//go:embed earthquakes.json
var builtinFeed []byte

// Quake is the record of one earthquake as the feed has it.
type Quake struct {
	Network   string  `json:"net"`
	Magnitude float64 `json:"mag"`
	Place     string  `json:"place"`
	Time      int64   `json:"time"`   // when it happened, in ms since the epoch
	Status    string  `json:"status"` // automatic, or reviewed by a person
}

// Day returns the day on which the earthquake happened, in UTC.
func (q Quake) Day() string { return time.UnixMilli(q.Time).UTC().Format(time.DateOnly) }

// Report is one line of the feed: a record, and the time of its last correction. That time
// is the time of the update.
type Report struct {
	ID      string
	Quake   Quake
	Updated uint64 // ms since the epoch
}

// readFeed returns the reports of a feed in the order of their corrections. An empty path
// means the feed that comes with the example.
func readFeed(path string) ([]Report, error) {
	data := builtinFeed
	if path != "" {
		var err error
		if data, err = os.ReadFile(path); err != nil {
			return nil, err
		}
	}
	var feed struct {
		Features []struct {
			ID         string `json:"id"`
			Properties struct {
				Quake
				Updated int64 `json:"updated"`
			} `json:"properties"`
		} `json:"features"`
	}
	if err := json.Unmarshal(data, &feed); err != nil {
		return nil, fmt.Errorf("feed: %w", err)
	}
	reports := make([]Report, 0, len(feed.Features))
	for _, f := range feed.Features {
		if f.ID == "" || f.Properties.Updated < 0 {
			return nil, fmt.Errorf("feed: report %q updated at %d", f.ID, f.Properties.Updated)
		}
		reports = append(reports, Report{ID: f.ID, Quake: f.Properties.Quake, Updated: uint64(f.Properties.Updated)})
	}
	slices.SortStableFunc(reports, func(a, b Report) int { return cmp.Compare(a.Updated, b.Updated) })
	return reports, nil
}
