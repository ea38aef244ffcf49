package part

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
)

// sparseParts has one row at time 0 in every part, and others.
type sparseParts struct{}

func (s sparseParts) open(_ context.Context, p *Part) (groupReader, error) {
	return wholePart{p, s.readPart}, nil
}

func (sparseParts) readPart(_ context.Context, p *Part) (Columns, error) {
	var b ColumnsBuilder
	for i := range p.Rows {
		if err := b.Add(fmt.Appendf(nil, "%s-%04d", p.Key, i), nil, uint64(min(i, 1)), 1); err != nil {
			return Columns{}, err
		}
	}
	return b.Finish(), nil
}

// Rows that wait for the encoder keep the parts that they are from in memory: they do not
// wait when their source has moved on.
func TestWriterKeepsNoParts(t *testing.T) {
	var sparse []Part
	for i := range 100 {
		sparse = append(sparse, Part{Key: fmt.Sprintf("%03d", i), Rows: 10})
	}
	rows := NewRows(sparse, sparseParts{}, TimeFilter{Upper: frontier.At(1)})
	out := Output{Config: Config{PartBytes: 1 << 20}}
	w := writer{out: out, encoder: newFileEncoder(out.Config)}
	rows.moves = &w.moves
	var prev Row
	for r, err := range Consolidate(t.Context(), []Source{rows}, frontier.Antichain{}, math.MaxInt, nil) {
		require.NoError(t, err)
		require.NoError(t, w.add(t.Context(), &r, &prev))
		require.LessOrEqual(t, len(w.chunk), 1+1, "and the one that came when its source had moved on")
		prev = r
	}
	require.EqualValues(t, 100, w.done.Rows)
	require.Equal(t, 100, w.encoder.rows+len(w.chunk))
}

// Memory of parts of many sizes does not pile up.
func TestReadAheadReusesMemory(t *testing.T) {
	var r Ahead
	for i := range 1000 {
		r.free = append(r.free, r.memory(1000+i))
		require.Len(t, r.free, 1)
	}
}
