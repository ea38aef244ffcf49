package indexed

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

func (s sparseParts) openPart(_ context.Context, p *part) (groupReader, error) {
	return wholePart{p, s.readPart}, nil
}

func (sparseParts) readPart(_ context.Context, p *part) (Columns, error) {
	var b ColumnsBuilder
	for i := range p.rows {
		if err := b.Add(fmt.Appendf(nil, "%s-%04d", p.key, i), nil, uint64(min(i, 1)), 1); err != nil {
			return Columns{}, err
		}
	}
	return b.Finish(), nil
}

// Rows that wait for the encoder keep the parts that they are from in memory: they do not
// wait when their source has moved on.
func TestWriterKeepsNoParts(t *testing.T) {
	var sparse []part
	for i := range 100 {
		sparse = append(sparse, part{key: fmt.Sprintf("%03d", i), rows: 10})
	}
	rows := newPartRows(sparse, sparseParts{}, timeFilter{upper: frontier.At(1)})
	out := output{config: partConfig{partBytes: 1 << 20}}
	w := partWriter{out: out, encoder: newPartEncoder(out.config)}
	rows.moves = &w.moves
	var prev Row
	for r, err := range consolidate(t.Context(), []rowSource{rows}, frontier.Antichain{}, math.MaxInt, nil) {
		require.NoError(t, err)
		require.NoError(t, w.add(t.Context(), &r, &prev))
		require.LessOrEqual(t, len(w.chunk), 1+1, "and the one that came when its source had moved on")
		prev = r
	}
	require.EqualValues(t, 100, w.done.rows)
	require.Equal(t, 100, w.encoder.rows+len(w.chunk))
}

// Memory of parts of many sizes does not pile up.
func TestReadAheadReusesMemory(t *testing.T) {
	var r readAhead
	for i := range 1000 {
		r.free = append(r.free, r.memory(1000+i))
		require.Len(t, r.free, 1)
	}
}
