package main

import (
	"fmt"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	_ "gonum.org/v1/plot/vg/vgsvg" // so that plots can be saved as SVG
)

// chart is a plot of bars: a group for each work, with a bar for each system. The height of
// a bar is the system's figure divided by Tidemark's.
type chart struct {
	file, title string
	bars        []bars
}

// bars is one group of bars.
type bars struct {
	label, work, unit string
}

func (s scale) charts() []chart {
	bulk, scan := fmt.Sprintf("Bulk/records=%d", s.bulk), fmt.Sprintf("Scan/records=%d", s.bulk)
	return []chart{
		{"writes.svg", "Durable writes of one record: records/s, Tidemark = 1", []bars{
			{"1 writer", "Write/writers=1", unitRate}, {"16 writers", "Write/writers=16", unitRate}, {"64 writers", "Write/writers=64", unitRate},
		}},
		{"bulk.svg", "Durable batches of 1,000 from 4 writers: Tidemark = 1", []bars{
			{"records/s", bulk, unitRate}, {"until settled", bulk, unitSettled}, {"bytes written", bulk, unitWrote}, {"CPU seconds", bulk, unitCPU},
		}},
		{"scan.svg", "Reading everything: records/s, Tidemark = 1", []bars{
			{"cold", scan, unitCold}, {"warm", scan, unitWarm},
		}},
		{"listen.svg", "Durable write to received: p50, Tidemark = 1, less is better", []bars{
			{"1 writer", "Listen/writers=1", unitP50}, {"16 writers", "Listen/writers=16", unitP50},
		}},
	}
}

// plot draws what was measured into a directory, as SVG.
func (rs *results) plot(dir string) error {
	for _, c := range rs.scale.charts() {
		if err := rs.draw(c, filepath.Join(dir, c.file)); err != nil {
			return err
		}
	}
	return nil
}

func (rs *results) draw(c chart, file string) error {
	p := plot.New()
	p.Title.Text = c.title
	p.Y.Min = 0
	p.Legend.Top = true
	var labels []string
	for _, b := range c.bars {
		labels = append(labels, b.label)
	}
	var drawn []system
	for _, s := range systems {
		for _, b := range c.bars {
			if _, ok := rs.median(joinName(b.work, s.name), b.unit); ok {
				drawn = append(drawn, s)
				break
			}
		}
	}
	const group = 60.0 // points, for all bars of a work
	for i, s := range drawn {
		values := make(plotter.Values, len(c.bars))
		for k, b := range c.bars {
			if v, ok := quotient(value(b.work, s.name, b.unit), value(b.work, "tidemark", b.unit))(rs); ok {
				values[k] = v
			}
		}
		width := vg.Points(group / float64(len(drawn)))
		chart, err := plotter.NewBarChart(values, width)
		if err != nil {
			return err
		}
		chart.Color = plotutil.Color(i)
		chart.LineStyle.Width = 0
		chart.Offset = width * vg.Length(float64(i)-float64(len(drawn)-1)/2)
		p.Add(chart)
		p.Legend.Add(s.name, chart)
	}
	if len(drawn) == 0 {
		return nil
	}
	p.NominalX(labels...)
	return p.Save(vg.Points(float64(140+100*len(labels))), 240, file)
}
