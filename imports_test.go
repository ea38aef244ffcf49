package tidemark_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

const module = "github.com/tidemark-go/tidemark"

// mayImport says which of our packages the production files of a directory, and of those
// below it, may import: these directories, and those below them. The longest directory that
// has a line decides, alone. So imports point down, from the operators to the frontiers.
//
// Always allowed is what is below a package's own directory, such as indexed/internal for
// package indexed. Never allowed, whatever a line says, is that a package in an internal
// directory imports what that directory is internal to.
//
// A package without a line is an offence. Give it one, and as little as it needs.
var mayImport = map[string]string{
	"frontier":            "",
	"storage":             "",
	"storage/storagetest": "storage",
	"indexed":             "frontier storage internal/brief internal/kept",
	"indexed/internal":    "frontier storage indexed/internal/wire internal/brief internal/kept",
	"persist":             "frontier storage indexed internal/brief internal/kept persist/codec",
	"persist/codec":       "internal/kept",
	"mem":                 "storage persist",
	"file":                "storage persist",
	"file/internal":       "file/internal/vfs",
	"operators":           "frontier storage persist operators internal/brief",
	"operators/internal":  "frontier persist operators/internal",
	".":                   "file mem persist",
	"tidemarktest":        "frontier storage persist mem internal/seed",
	"examples":            ". file frontier operators persist",

	"internal/brief":     "",
	"internal/kept":      "",
	"internal/seed":      "",
	"internal/proof":     "internal/seed",
	"internal/museum":    "internal/proof",
	"internal/resources": "internal/proof",
	"internal/program":   "frontier storage persist mem tidemarktest internal/proof",
}

// forTests are directories that no production file may import, but those below them.
var forTests = []string{"file/internal/disk"}

// TestImportsPointDown holds every production file of the module to mayImport.
func TestImportsPointDown(t *testing.T) {
	offences, packages, err := checkImports(os.DirFS("."), mayImport)
	require.NoError(t, err)
	require.Greater(t, packages, 20)
	for _, o := range offences {
		t.Error(o)
	}
}

// A test of a rule that finds nothing must be able to find something.
func TestImportRulesFindOffences(t *testing.T) {
	file := func(imports ...string) *fstest.MapFile {
		text := "package p\n\nimport (\n"
		for _, i := range imports {
			text += fmt.Sprintf("\t%q\n", i)
		}
		return &fstest.MapFile{Data: []byte(text + ")\n")}
	}
	offences, packages, err := checkImports(fstest.MapFS{
		"root.go":                  file(module+"/file", module+"/indexed"),
		"file/log.go":              file("fmt", module+"/file/internal/disk"),
		"file/internal/disk/d.go":  file(module+"/storage", module+"/file"),
		"indexed/engine.go":        file(module+"/indexed/internal/part", module+"/persist"),
		"indexed/engine_test.go":   file(module + "/persist"),
		"indexed/testdata/x.go":    file(module + "/persist"),
		"indexed/internal/part.go": file(module+"/storage", "github.com/tidemark-go/tidemarkets"),
		"new/new.go":               file("fmt"),
		"operators/internal/e.go":  file(module+"/operators", module+"/operators/internal/edge"),
		"persist/codec/c.go":       file(module + "/persist"),
		"storage/blob.go":          file(module),
		"other/go.mod":             {Data: []byte("module other\n")},
		"other/other.go":           file(module + "/indexed"),
	}, map[string]string{
		".": "file", "file": "storage file", "indexed": "storage", "operators": "operators", "persist": "persist/codec",
		"storage": "", "gone": "",
	})
	require.NoError(t, err)
	require.Equal(t, 8, packages)
	require.Equal(t, []string{
		"file/internal/disk/d.go:5: imports file, to which it is internal",
		"file/log.go:5: imports file/internal/disk, which is for tests",
		"gone: has a line in mayImport, but no production file",
		"indexed/engine.go:5: imports persist; packages of indexed may import: storage",
		"new/new.go: its package has no line in mayImport",
		"operators/internal/e.go:4: imports operators, to which it is internal",
		"persist/codec/c.go:4: imports persist; packages of persist may import: persist/codec",
		"root.go:5: imports indexed; packages of . may import: file",
		"storage/blob.go:4: imports .; packages of storage may import: nothing of ours",
	}, offences)
}

// checkImports returns what is against the rules, sorted, and how many packages it has seen.
func checkImports(root fs.FS, rules map[string]string) (offences []string, packages int, err error) {
	offend := func(format string, args ...any) { offences = append(offences, fmt.Sprintf(format, args...)) }
	seen, used := map[string]bool{}, map[string]bool{}
	err = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			_, noModule := fs.Stat(root, path.Join(name, "go.mod"))
			if name != "." && (noModule == nil || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".")) {
				return fs.SkipDir
			}
			return nil
		case !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		from := path.Dir(name)
		line, ok := lineOf(from, rules)
		if !ok {
			offend("%s: its package has no line in mayImport", name)
			return nil
		}
		seen[from], used[line] = true, true
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		files := token.NewFileSet()
		parsed, err := parser.ParseFile(files, name, text, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, i := range parsed.Imports {
			imported, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			to, ours := strings.CutPrefix(imported+"/", module+"/")
			if !ours {
				continue
			}
			to = path.Clean(to)
			at := files.Position(i.Pos()).Line
			outer, _, internal := strings.Cut("/"+from+"/", "/internal/")
			outer = strings.TrimPrefix(outer, "/")
			switch {
			case slices.ContainsFunc(forTests, func(dir string) bool { return below(to, dir) && !below(from, dir) }):
				offend("%s:%d: imports %s, which is for tests", name, at, to)
			case internal && outer != "" && below(to, outer) && !below(to, outer+"/internal"):
				offend("%s:%d: imports %s, to which it is internal", name, at, to)
			case !below(to, from) && !slices.ContainsFunc(strings.Fields(rules[line]), func(dir string) bool { return below(to, dir) }):
				may := rules[line]
				if may == "" {
					may = "nothing of ours"
				}
				offend("%s:%d: imports %s; packages of %s may import: %s", name, at, to, line, may)
			}
		}
		return nil
	})
	for line := range rules {
		if !used[line] {
			offend("%s: has a line in mayImport, but no production file", line)
		}
	}
	slices.Sort(offences)
	return offences, len(seen), err
}

// lineOf returns the directory whose line decides for a package.
func lineOf(dir string, rules map[string]string) (string, bool) {
	for at := dir; ; at = path.Dir(at) {
		if _, ok := rules[at]; ok && (at != "." || dir == ".") {
			return at, true
		}
		if at == "." {
			return "", false
		}
	}
}

// below says whether a directory is another one, or below it. Nothing is below the root but
// the root: a line that names it means its package.
func below(dir, of string) bool {
	return dir == of || of != "." && strings.HasPrefix(dir, of+"/")
}
