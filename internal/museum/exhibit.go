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
	pkg    string // of the test, as "./file"
	test   string // its name
}

// edit is a change of a file of ours. The old text occurs exactly once.
type edit struct {
	file     string // from the module's directory
	old, new string
}

// plant returns the text of a file with the bug in it. An error says that the code
// has changed under the exhibit.
func (e edit) plant(root string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(root, e.file))
	if err != nil {
		return nil, err
	}
	if n := strings.Count(string(text), e.old); n != 1 {
		return nil, fmt.Errorf("%s has the text to change %d times, want once:\n%s", e.file, n, e.old)
	}
	return []byte(strings.Replace(string(text), e.old, e.new, 1)), nil
}

// plantAll returns the changed files by name. Several edits of a file are made one
// after the other, each in the text as it stands in the module.
func (x exhibit) plantAll(root string) (map[string][]byte, error) {
	texts := map[string][]byte{}
	for _, e := range x.edits {
		if texts[e.file] != nil {
			return nil, fmt.Errorf("exhibit %s edits %s twice: make it one edit", x.name, e.file)
		}
		text, err := e.plant(root)
		if err != nil {
			return nil, fmt.Errorf("exhibit %s: %w", x.name, err)
		}
		texts[e.file] = text
	}
	return texts, nil
}
