package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// builder tells whether planted programs build, in milliseconds each: it only checks the
// types of the files that are changed.
type builder struct {
	set      *token.FileSet
	importer types.Importer
	packages map[string]*goPackage // by the directory, from the module's
}

type goPackage struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
	outlines                map[string]*ast.File // by the file's name; without the bodies of functions
}

// newBuilder returns a builder for the packages that have markers.
func newBuilder(t *testing.T, root string, c *code) *builder {
	root, err := filepath.Abs(root)
	require.NoError(t, err)
	dirs := map[string]bool{}
	for _, places := range c.places {
		dirs["./"+path.Dir(places[0].file.name)] = true
	}
	args := slices.AppendSeq([]string{"list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles"}, maps.Keys(dirs))
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Stderr = root, os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)

	b := &builder{set: token.NewFileSet(), packages: map[string]*goPackage{}}
	exports := map[string]string{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		exports[p.ImportPath] = p.Export
		if dir, err := filepath.Rel(root, p.Dir); err == nil && filepath.IsLocal(dir) {
			b.packages[filepath.ToSlash(dir)] = &p
		}
	}
	b.importer = importer.ForCompiler(b.set, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	return b
}

// outline returns a file without the bodies of its functions.
func (b *builder) outline(p *goPackage, name string) (*ast.File, error) {
	if f := p.outlines[name]; f != nil {
		return f, nil
	}
	f, err := parser.ParseFile(b.set, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	for _, d := range f.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			f.Body = nil
		}
	}
	if p.outlines == nil {
		p.outlines = map[string]*ast.File{}
	}
	p.outlines[name] = f
	return f, nil
}

// build returns why files that were changed do not build. A file for another system is
// not looked at.
func (b *builder) build(changed map[string]string) error {
	var errs []error
	dirs := map[string]bool{}
	for name := range changed {
		dirs[path.Dir(name)] = true
	}
	for dir := range dirs {
		p := b.packages[dir]
		if p == nil {
			return fmt.Errorf("no package in %s", dir)
		}
		var files []*ast.File
		for _, base := range p.GoFiles {
			f, err := b.outline(p, base)
			if text, ok := changed[path.Join(dir, base)]; ok {
				f, err = parser.ParseFile(b.set, path.Join(dir, base), text, parser.SkipObjectResolution)
			}
			if err != nil {
				return err
			}
			files = append(files, f)
		}
		conf := types.Config{Importer: b.importer, Error: func(err error) {
			// Outlines have errors, of imports that nothing uses.
			var e types.Error
			if errors.As(err, &e) && changed[e.Fset.Position(e.Pos).Filename] != "" {
				errs = append(errs, err)
			}
		}}
		_, _ = conf.Check(p.ImportPath, b.set, files, nil)
	}
	return errors.Join(errs...)
}
