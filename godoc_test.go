package tidemark_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every method that users see in the documentation of a package has a receiver with a name,
// and a doc that says what it does for that type: not that of an embedded type, which nobody
// can look up.
func TestMethodsAreDocumented(t *testing.T) {
	methods := 0
	for dir, files := range publicPackages(t) {
		fset := token.NewFileSet()
		var parsed []*ast.File
		for _, name := range files {
			f, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
			require.NoError(t, err)
			parsed = append(parsed, f)
		}
		p, err := doc.NewFromFiles(fset, parsed, module+"/"+dir)
		require.NoError(t, err)
		for _, typ := range p.Types {
			for _, m := range typ.Methods {
				methods++
				name := dir + "." + typ.Name + "." + m.Name
				if m.Level > 0 {
					t.Errorf("%s is that of an embedded type, %s", name, m.Orig)
					continue
				}
				if names := m.Decl.Recv.List[0].Names; len(names) == 0 {
					t.Errorf("%s has a receiver without a name", name)
				}
				if strings.TrimSpace(m.Doc) == "" {
					t.Errorf("%s has no doc", name)
				}
			}
		}
	}
	require.Greater(t, methods, 150)
}

// publicPackages returns the production files of the packages that other modules can import,
// by directory. The engine is left out: users do not call it.
func publicPackages(t *testing.T) map[string][]string {
	packages := map[string][]string{}
	require.NoError(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			switch d.Name() {
			case "internal", "indexed", "testdata", "examples", "bench", "interop", "tools":
				return fs.SkipDir
			}
		case strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go"):
			packages[filepath.Dir(path)] = append(packages[filepath.Dir(path)], path)
		}
		return nil
	}))
	require.Greater(t, len(packages), 10)
	return packages
}
