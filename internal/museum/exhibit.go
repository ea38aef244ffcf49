package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tidemark-go/tidemark/internal/proof"
)

// exhibit is a bug, and the test that catches it.
type exhibit struct {
	name   string // short, with dashes
	bug    string // what is wrong, for the table
	origin string // who had it
	tier   proof.Tier
	edits  []edit
	plants changes
	pkg    string // of the test, as "./file"
	test   string // its name
	goarch string // for which the test is built; "" is that of this machine
}

// changes plant a bug. The first one changes what the marker of the exhibit's name is
// above, the second one what is below NAME/2, and so on.
type changes []change

// markers are the names of an exhibit's markers, in the order of its changes.
func (x exhibit) markers() []string {
	var names []string
	for i := range x.plants {
		name := x.name
		if i > 0 {
			name = fmt.Sprintf("%s/%d", x.name, i+1)
		}
		names = append(names, name)
	}
	return names
}

// edit is a change of a file of ours. The old text occurs exactly once.
type edit struct {
	file     string // from the module's directory
	old, new string
}

// plantIn returns a text with the bug in it. An error says that the code has changed
// under the exhibit.
func (e edit) plantIn(text string) (string, error) {
	if n := strings.Count(text, e.old); n != 1 {
		return "", fmt.Errorf("%s has the text to change %d times, want once:\n%s", e.file, n, e.old)
	}
	return strings.Replace(text, e.old, e.new, 1), nil
}

// plant returns the changed files by name, from the module's directory. An error says
// that the code has changed under the exhibit.
func (x exhibit) plant(root string, c *code) (map[string]string, error) {
	texts := map[string]string{}
	for _, e := range x.edits {
		if _, ok := texts[e.file]; !ok {
			text, err := os.ReadFile(filepath.Join(root, e.file))
			if err != nil {
				return nil, fmt.Errorf("exhibit %s: %w", x.name, err)
			}
			texts[e.file] = string(text)
		}
		text, err := e.plantIn(texts[e.file])
		if err != nil {
			return nil, fmt.Errorf("exhibit %s: %w", x.name, err)
		}
		texts[e.file] = text
	}
	all := map[*file][]splice{}
	for i, name := range x.markers() {
		p, err := c.one(name)
		if err != nil {
			return nil, fmt.Errorf("exhibit %s: %w", x.name, err)
		}
		splices, err := x.plants[i](p)
		if err != nil {
			return nil, fmt.Errorf("exhibit %s: below %s: %w", x.name, p.at(), err)
		}
		all[p.file] = append(all[p.file], splices...)
	}
	for f, splices := range all {
		text, err := spliced(f.text, splices)
		if err != nil {
			return nil, fmt.Errorf("exhibit %s: %s: %w", x.name, f.name, err)
		}
		texts[f.name] = text
	}
	return texts, nil
}
