package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// directive begins a marker. A comment of this form is a directive of Go: gofmt keeps
// it, and go doc does not show it.
const directive = "//museum:"

var (
	// likeMarker matches every comment that is a marker, or was meant to be one.
	likeMarker = regexp.MustCompile(`^//\s*museum:`)
	// marker matches a marker, which has one name or several. A number tells the second
	// place of an exhibit, and those after it, from the first.
	marker = regexp.MustCompile(`^//museum:[a-z0-9-]+(/[1-9]\d*)?(, [a-z0-9-]+(/[1-9]\d*)?)*$`)
)

// code is the code of the module: the files that have markers.
type code struct {
	places map[string][]place // by the name in the marker
}

// place is the code below a marker.
type place struct {
	file   *file
	line   int // of the marker
	target ast.Node
}

// file is a file with markers.
type file struct {
	name string // from the module's directory
	text string
	set  *token.FileSet
}

// at says where a place is, for errors.
func (p place) at() string { return fmt.Sprintf("%s:%d", p.file.name, p.line) }

// offsets returns where a node begins and ends in the file's text.
func (f *file) offsets(n ast.Node) (from, to int) {
	return f.set.Position(n.Pos()).Offset, f.set.Position(n.End()).Offset
}

// readCode finds all markers of the module in root. It looks at every Go file of the module
// that is not a test. An error names a marker that marks nothing.
func readCode(root string) (*code, error) {
	c := &code{places: map[string][]place{}}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && !holdsCode(path):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(text, []byte("museum:")) {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		return c.add(filepath.ToSlash(name), string(text))
	})
	return c, err
}

// holdsCode is false for a directory that the go command leaves out of the module.
func holdsCode(dir string) bool {
	base := filepath.Base(dir)
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err != nil && base != "testdata" && base[0] != '.' && base[0] != '_'
}

// add adds a file's markers.
func (c *code) add(name, text string) error {
	f := &file{name: name, text: text, set: token.NewFileSet()}
	tree, err := parser.ParseFile(f.set, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	lines := strings.Split(text, "\n")
	for _, group := range tree.Comments {
		for _, comment := range group.List {
			if !likeMarker.MatchString(comment.Text) {
				continue
			}
			p := place{file: f, line: f.set.Position(comment.Pos()).Line}
			if !marker.MatchString(comment.Text) || !isComment(lines[p.line-1]) {
				return fmt.Errorf("%s: a marker is a line of its own, %sNAME or %sNAME, NAME/2: have %q", p.at(), directive, directive, comment.Text)
			}
			if p.target = below(f.set, tree, lines, p.line); p.target == nil {
				return fmt.Errorf("%s: no statement or declaration begins below the marker %s: put it above the line that decides", p.at(), comment.Text)
			}
			for _, name := range strings.Split(strings.TrimPrefix(comment.Text, directive), ", ") {
				c.places[name] = append(c.places[name], p)
			}
		}
	}
	return nil
}

// below returns the outermost node that begins on the first line of code below a line,
// or nil.
func below(set *token.FileSet, tree ast.Node, lines []string, line int) ast.Node {
	for line++; line <= len(lines) && (isComment(lines[line-1]) || strings.TrimSpace(lines[line-1]) == ""); {
		line++
	}
	var found ast.Node
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n.(type) {
		case nil, *ast.Comment, *ast.CommentGroup:
			return false
		}
		if found == nil && set.Position(n.Pos()).Line == line {
			found = n
		}
		return found == nil
	})
	return found
}

func isComment(line string) bool { return strings.HasPrefix(strings.TrimSpace(line), "//") }

// one returns the place of a marker. There must be exactly one.
func (c *code) one(name string) (place, error) {
	switch places := c.places[name]; len(places) {
	case 0:
		return place{}, fmt.Errorf("no file has the marker %s%s: put it on a line of its own above the line that decides now, in any file of the module that is not a test", directive, name)
	case 1:
		return places[0], nil
	default:
		var all []string
		for _, p := range places {
			all = append(all, p.at())
		}
		return place{}, fmt.Errorf("the marker %s%s is there %d times, want once (%s): keep the one above the line that decides, and call a second place of the exhibit %s/2", directive, name, len(places), strings.Join(all, ", "), name)
	}
}

// strangers returns the markers that are not among the names, and where they are.
func (c *code) strangers(names map[string]bool) []string {
	var all []string
	for name, places := range c.places {
		if !names[name] {
			all = append(all, fmt.Sprintf("%s: no exhibit has the marker %s%s", places[0].at(), directive, name))
		}
	}
	slices.Sort(all)
	return all
}
