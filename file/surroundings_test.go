package file

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// A program may have been started without a name, or with a strange one: it opens its
// location, and whoever finds that locked is told as much as there is, on one line. What
// the user gives is refused instead.
func TestNamesOfPrograms(t *testing.T) {
	args := os.Args
	defer func() { os.Args = args }()
	for name, row := range map[string]struct {
		args []string
		want string
	}{
		"none":         {nil, filepath.Base(args[0])},
		"empty":        {[]string{""}, "unknown program"},
		"a line break": {[]string{"/bin/in\ngest\r"}, "in?gest?"},
		"control":      {[]string{"a\x00\x1b[31mb"}, "a??[31mb"},
		"no UTF-8":     {[]string{"caf\xe9"}, "caf?"},
		"long":         {[]string{strings.Repeat("x", 100_000)}, strings.Repeat("x", maxLockName)},
		"a slash":      {[]string{"/"}, "/"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			os.Args = row.args
			m := disk.New()
			c, err := Open(ctx0, "/db", persist.Config{}, withFileSystem(m))
			require.NoError(t, err)
			defer func() { require.NoError(t, c.Stop()) }()
			_, err = Open(ctx0, "/db", persist.Config{}, withFileSystem(m))
			var locked *storage.LockedError
			require.ErrorAs(t, err, &locked)
			require.Equal(t, row.want, locked.Holder.Owner)
			require.Contains(t, locked.Holder.Details, "(pid ")
			require.NotContains(t, err.Error(), "\n")
		})
	}
	for _, info := range []storage.LockInfo{
		{Owner: "a\nb"}, {Owner: "a\rb"},
		{Owner: strings.Repeat("x", maxLockInfo)}, {Owner: "x", Details: strings.Repeat("y", maxLockInfo)},
	} {
		for _, open := range []func() error{
			func() error {
				_, err := Open(ctx0, "/db", persist.Config{}, withFileSystem(disk.New()), LockInfo(info))
				return err
			},
			func() error { _, err := NewBlob("/db", withFileSystem(disk.New()), LockInfo(info)); return err },
		} {
			err := open()
			require.ErrorContains(t, err, "lock owner")
			require.Less(t, len(err.Error()), maxLockInfo)
		}
	}
}

// Nothing depends on the wall clock, which may jump. Times that are compared are those of
// this process, as time.Now returns them, which hold the monotonic clock as well; timers
// and contexts use that. What would take it away, or make a time of stored numbers, is in
// two places: what LOCK says to people, and the codec of times, which are the user's data.
func TestNothingDependsOnTheWallClock(t *testing.T) {
	allowed := map[string][]string{"file/lock.go": {"Format", "UTC"}, "persist/codec/fixed.go": {"UTC", "Unix", "Unix"}}
	suspect := []string{"UTC", "Local", "In", "Round", "Unix", "UnixMilli", "UnixMicro", "UnixNano", "Format", "AppendFormat", "Date", "Parse", "WithDeadline", "WithDeadlineCause", "GobEncode", "MarshalBinary"}
	found := map[string][]string{}
	files := 0
	for _, pkg := range []string{"file", "frontier", "indexed", "mem", "operators", "persist", "storage"} {
		require.NoError(t, filepath.WalkDir(filepath.Join("..", pkg), func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return err
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			require.NoError(t, err)
			files++
			usesTime := slices.ContainsFunc(parsed.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"time"` })
			ast.Inspect(parsed, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				if sel, ok := call.Fun.(*ast.SelectorExpr); ok && (sel.Sel.Name != "In" || len(call.Args) == 1) && slices.Contains(suspect, sel.Sel.Name) && (usesTime || strings.HasPrefix(sel.Sel.Name, "WithDeadline")) {
					name := filepath.ToSlash(strings.TrimPrefix(name, ".."+string(filepath.Separator)))
					found[name] = append(found[name], sel.Sel.Name)
				}
				return true
			})
			return nil
		}))
	}
	require.Greater(t, files, 60)
	for _, names := range found {
		slices.Sort(names)
	}
	require.Equal(t, slices.Sorted(maps.Keys(allowed)), slices.Sorted(maps.Keys(found)), "%v", found)
	for name, want := range allowed {
		require.Equal(t, want, found[name], name)
	}
}
