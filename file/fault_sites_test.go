package file

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
)

// callSite is a call as the code shows it. The line of one that is deferred is, when
// it happens, the line of the function's end, or of a return.
type callSite struct {
	disk.Site
	until int
}

// isOp compares with an operation that has happened. Which way a function that opens a
// file opens it is not seen in the code.
func (c callSite) isOp(op string) bool { return c.Op == op || c.Op == "open" && op == "openWrite" }

// callSites finds every place in the package's own code that calls the file system
// or an open file: by the types of the calls, so that a new one cannot be forgotten.
// Other packages than that of the interfaces are not loaded.
func callSites(t *testing.T) (sites []callSite) {
	t.Helper()
	fset := token.NewFileSet()
	parse := func(names []string, err error) (files []*ast.File) {
		require.NoError(t, err)
		for _, name := range names {
			f, err := parser.ParseFile(fset, name, nil, 0)
			require.NoError(t, err)
			files = append(files, f)
		}
		return files
	}
	const path = "github.com/tidemark-go/tidemark/file/internal/vfs"
	ignore := func(error) {} // what comes of the packages that are empty
	interfaces, _ := (&types.Config{Importer: importing{}, Error: ignore}).Check(path, fset, parse(filepath.Glob("internal/vfs/*.go")), nil)
	interfaces.MarkComplete()
	names, err := filepath.Glob("*.go")
	files := parse(slices.DeleteFunc(names, func(name string) bool {
		// Those of other platforms, and what a vfs.FS is made of, call none.
		return strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "os_") || strings.HasPrefix(name, "sync_") || name == "os.go"
	}), err)
	info := types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Selections: map[*ast.SelectorExpr]*types.Selection{}}
	config := types.Config{Importer: importing{path: interfaces}, Error: ignore}
	_, _ = config.Check("file", fset, files, &info)
	fsys, file, dir := interfaces.Scope().Lookup("FS").Type(), interfaces.Scope().Lookup("File").Type(), interfaces.Scope().Lookup("Dir").Type()

	// op is the operation that a call is, or "".
	op := func(call *ast.CallExpr) (string, token.Pos) {
		switch fun := call.Fun.(type) {
		case *ast.SelectorExpr:
			if sel := info.Selections[fun]; sel != nil && sel.Kind() == types.MethodVal && methodOf(sel, fsys, file, dir) {
				return opOf(fun.Sel.Name), fun.Sel.Pos()
			}
			if fun.Sel.Name == "unlock" { // of a LOCK file: a function
				return "unlock", fun.Sel.Pos()
			}
		case *ast.Ident:
			if fun.Name == "unlock" {
				return "unlock", fun.Pos()
			}
			v, ok := info.Uses[fun].(*types.Var)
			if !ok {
				break
			}
			if sig, ok := v.Type().(*types.Signature); ok && sig.Results().Len() == 2 && sig.Results().At(0).Type() == file {
				return "open", fun.Pos() // a function that opens a file
			}
		}
		return "", token.NoPos
	}
	for _, f := range files {
		var end token.Pos // of the function that the walk is in
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				end = n.End()
			case *ast.CallExpr:
				if op, pos := op(n); op != "" {
					at := fset.Position(pos)
					sites = append(sites, callSite{disk.Site{File: at.Filename, Line: at.Line, Op: op}, at.Line})
				}
			case *ast.DeferStmt:
				if op, pos := op(n.Call); op != "" {
					at := fset.Position(pos)
					sites = append(sites, callSite{disk.Site{File: at.Filename, Line: at.Line, Op: op}, fset.Position(end).Line})
					return false
				}
			}
			return true
		})
	}
	return sites
}

// methodOf reports whether a selection ends at a method of one of the interfaces,
// also through an embedded field.
func methodOf(sel *types.Selection, interfaces ...types.Type) bool {
	recv := sel.Obj().Type().(*types.Signature).Recv()
	for _, i := range interfaces {
		if recv != nil && types.Identical(recv.Type(), i) {
			return true
		}
	}
	return false
}

// opOf is the operation that a method is, or "" if it is none of the disk.
func opOf(method string) string {
	switch method {
	case "ReadCached": // of memory; if it cannot, the caller reads the disk
		return ""
	case "ReadAt":
		return "read"
	case "WriteAt":
		return "write"
	case "ID":
		return "id"
	default:
		return strings.ToLower(method[:1]) + method[1:]
	}
}

// importing has these packages, and pretends that all others are empty.
type importing map[string]*types.Package

func (i importing) Import(path string) (*types.Package, error) {
	pkg := i[path]
	if pkg == nil {
		pkg = types.NewPackage(path, filepath.Base(path))
		pkg.MarkComplete()
	}
	return pkg, nil
}
