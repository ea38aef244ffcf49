package main

import (
	"fmt"

	"github.com/tidemark-go/tidemark/internal/proof"
)

// exhibit is a bug, and the test that catches it.
type exhibit struct {
	name   string // short, with dashes
	bug    string // what is wrong, for the table
	origin string // who had it
	tier   proof.Tier
	plants changes
	pkg    string // of the test, as "./file"
	test   string // its name
	narrow bool   // the test is built for a processor whose int has 32 bits
}

// changes plant a bug. The first one changes the code below the marker with the exhibit's
// name, the second one the code below NAME/2, and so on.
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

// plant returns the changed files by name, from the module's directory. An error says
// that the code has changed under the exhibit.
func (x exhibit) plant(c *code) (map[string]string, error) {
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
	texts := map[string]string{}
	for f, splices := range all {
		text, err := spliced(f.text, splices)
		if err != nil {
			return nil, fmt.Errorf("exhibit %s: %s: %w", x.name, f.name, err)
		}
		texts[f.name] = text
	}
	return texts, nil
}
