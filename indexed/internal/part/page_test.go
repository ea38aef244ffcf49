package part

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// A page that promises more than its pieces can have is refused before memory is taken for it.
func TestPagesPromiseWhatTheyHave(t *testing.T) {
	for name, key := range map[string]string{"as they are": "%c and more", "as differences": "a long prefix that all keys have %c"} {
		var rows []Row
		for i := range 100 {
			rows = append(rows, Row{fmt.Appendf(nil, key, '!'+i), fmt.Appendf(nil, "value %d", i), 1, 1})
		}
		w, blobs := writeParts(t, Config{PartBytes: 1 << 20}, rows)
		p := &w.Parts[0]
		data := blobs.blobs[p.Key]
		d, err := decodeDirectory(data[p.Directory.At:][:p.Directory.Len], p)
		require.NoError(t, err)
		require.Equal(t, name == "as differences", d.keysAsDelta)
		at := d.groups[0].index
		x, err := decodeGroupIndex(data[at.At:][:at.Len], p, d, 0)
		require.NoError(t, err)
		columns := [columnCount]span{{data: data}, {data: data}, {data: data}, {data: data}}
		page := x.pages[0]
		bytes := page.piecesIn(&columns)
		require.NoError(t, d.plausible(&page, &bytes))
		for what, more := range map[string]func(p *dirPage){
			"column key": func(p *dirPage) { p.keyBytes = 1 << 30 },
			"column val": func(p *dirPage) { p.valBytes = 1 << 30 },
		} {
			promising := page
			more(&promising)
			require.ErrorContains(t, d.plausible(&promising, &bytes), what, name)
		}
	}
}
