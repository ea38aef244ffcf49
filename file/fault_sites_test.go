package file

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// callSite is a call as the code shows it. The line of one that is deferred is, when
// it happens, the line of the function's end, or of a return.
type callSite struct {
	site
	until int
}

// isOp compares with an operation that has happened. Which way a function that opens a
// file opens it is not seen in the code.
func (c callSite) isOp(op string) bool { return c.op == op || c.op == "open" && op == "openWrite" }

// callSites finds every place in the package's own code that calls the file system
// or an open file: by the types of the calls, so that a new one cannot be forgotten.
// Other packages are not loaded: what the calls are made on is declared here.
func callSites(t *testing.T) (sites []callSite) {
	t.Helper()
	fset := token.NewFileSet()
	names, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var files []*ast.File
	for _, name := range names {
		// Those of other platforms, and what a fileSystem is made of, call none.
		if strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "os_") || strings.HasPrefix(name, "sync_") || name == "fs_os.go" {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, 0)
		require.NoError(t, err)
		files = append(files, f)
	}
	info := types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Selections: map[*ast.SelectorExpr]*types.Selection{}}
	config := types.Config{Importer: emptyImporter{}, Error: func(error) {}}
	pkg, _ := config.Check("file", fset, files, &info)
	fsys, file, dir := pkg.Scope().Lookup("fileSystem").Type(), pkg.Scope().Lookup("handle").Type(), pkg.Scope().Lookup("directory").Type()

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
					sites = append(sites, callSite{site{at.Filename, at.Line, op}, at.Line})
				}
			case *ast.DeferStmt:
				if op, pos := op(n.Call); op != "" {
					at := fset.Position(pos)
					sites = append(sites, callSite{site{at.Filename, at.Line, op}, fset.Position(end).Line})
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

// opOf is the operation that a method is.
func opOf(method string) string {
	switch method {
	case "ReadAt":
		return "read"
	case "WriteAt":
		return "write"
	case "Close":
		return "close"
	default:
		return method
	}
}

// emptyImporter pretends that all other packages are empty.
type emptyImporter struct{}

func (emptyImporter) Import(path string) (*types.Package, error) {
	pkg := types.NewPackage(path, filepath.Base(path))
	pkg.MarkComplete()
	return pkg, nil
}
