package main

import (
	"go/format"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/internal/proof"
)

// Every exhibit still fits the code, and its test is there. That the test catches it
// is shown by the command itself.
func TestExhibitsFitTheCode(t *testing.T) {
	root := filepath.Join("..", "..")
	c, err := readCode(root)
	require.NoError(t, err)
	builder := newBuilder(t, root, c)
	names, markers := map[string]bool{}, map[string]bool{}
	for _, x := range exhibits {
		for _, name := range x.markers() {
			markers[name] = true
		}
		t.Run(x.name, func(t *testing.T) {
			require.False(t, names[x.name], "two exhibits have this name")
			names[x.name] = true
			require.NotEmpty(t, x.bug)
			require.NotEmpty(t, x.origin)
			texts, err := x.plant(c)
			require.NoError(t, err)
			require.NotEmpty(t, texts)
			require.NoError(t, builder.build(texts), "the exhibit uses a name that the code no longer has: see internal/museum/doc.go")
			test, _, _ := strings.Cut(x.test, "/")
			require.Regexp(t, `^Test\w+$`, test)
			require.True(t, declares(t, filepath.Join(root, x.pkg), test), "%s has no %s", x.pkg, test)
		})
	}
	require.Empty(t, c.strangers(markers), "write the exhibit, or remove the marker")

	t.Run("a name that is gone", func(t *testing.T) {
		texts, err := exhibit{name: exhibits[0].name, plants: changes{before("noSuchName()")}}.plant(c)
		require.NoError(t, err)
		require.ErrorContains(t, builder.build(texts), "undefined: noSuchName")
	})
}

func declares(t *testing.T, dir, test string) bool {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	require.NoError(t, err)
	for _, name := range files {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		if regexp.MustCompile(`(?m)^func ` + test + `\(t \*testing\.T\)`).Match(text) {
			return true
		}
	}
	return false
}

func TestTiers(t *testing.T) {
	require.GreaterOrEqual(t, len(inTier(exhibits, proof.A)), 12)
	require.GreaterOrEqual(t, len(inTier(exhibits, proof.B)), 25)
}

// write makes a module of files, by name.
func write(t *testing.T, files map[string]string) (root string) {
	root = t.TempDir()
	for name, text := range files {
		name = filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	}
	return root
}

func TestChanges(t *testing.T) {
	const begin, end = "package p\n\nfunc f() bool {\n", "\treturn false\n}\n"
	for _, test := range []struct {
		name         string
		change       change
		marked, want string // statements of the function
		err          string
	}{
		{name: "never if", change: never, marked: "if a() {\n\t\tb()\n\t}", want: "if false && (a()) {\n\t\tb()\n\t}"},
		{name: "always if", change: always, marked: "if x := a(); x {\n\t\tb()\n\t}", want: "if x := a(); true || (x) {\n\t\tb()\n\t}"},
		{name: "never for", change: never, marked: "for a() {\n\t\tb()\n\t}", want: "for false && (a()) {\n\t\tb()\n\t}"},
		{name: "never return", change: never, marked: "return a() || b()", want: "return false && (a() || b())"},
		{name: "always assignment", change: always, marked: "x := a() && b()", want: "x := true || (a() && b())"},
		{name: "no condition", change: never, marked: "a()", err: "has no condition"},
		{name: "endless loop", change: never, marked: "for {\n\t\ta()\n\t}", err: "has no condition"},
		{name: "drop", change: drop, marked: "if a() {\n\t\tb()\n\t}", want: ""},
		{name: "instead", change: instead("c()"), marked: "a(func() {\n\t\tb()\n\t})", want: "c()"},
		{name: "before", change: before("c()"), marked: "a()", want: "c()\n\ta()"},
		{name: "after", change: after("c()"), marked: "a() // why", want: "a()\n\tc() // why"},
		{name: "around", change: around("if b() {\n", "\n}"), marked: "a()", want: "if b() {\n\t\ta()\n\t}"},
		{name: "swap", change: swap("1", "2"), marked: "a(0, 1)\n\tb(1)", want: "a(0, 2)\n\tb(1)"},
		{name: "swap of nothing", change: swap("2", "3"), marked: "a(0, 1)\n\tb(2)", err: "0 times, want once"},
		{name: "swap of two", change: swap("1", "2"), marked: "a(1, 1)", err: "2 times, want once"},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := write(t, map[string]string{"f.go": begin + "\t//museum:x\n\t" + test.marked + "\n" + end})
			c, err := readCode(root)
			require.NoError(t, err)
			texts, err := exhibit{name: "x", plants: changes{test.change}}.plant(c)
			if test.err != "" {
				require.ErrorContains(t, err, "exhibit x: below f.go:4: ")
				require.ErrorContains(t, err, test.err)
				return
			}
			require.NoError(t, err)
			got, err := format.Source([]byte(texts["f.go"]))
			require.NoError(t, err)
			want := ""
			if test.want != "" {
				want = "\t" + test.want + "\n"
			}
			require.Equal(t, begin+"\t//museum:x\n"+want+end, strings.ReplaceAll(string(got), "x\n\n", "x\n"))
		})
	}
}

// What is marked is the largest thing that begins on the line below the marker.
func TestMarkedCode(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"function", "// f is documented.\n//\n//museum:x\nfunc f() {\n\ta()\n}\n", "func f() {\n\ta()\n}"},
		{"declaration", "//museum:x\nvar a, b = 1, 2\n", "var a, b = 1, 2"},
		{"spec", "const (\n\ta = 1\n\t//museum:x\n\tb = 2\n)\n", "b = 2"},
		{"field", "type t struct {\n\ta int\n\t//museum:x\n\tb, c int\n}\n", "b, c int"},
		{"case", "func f(a, b bool) {\n\tswitch {\n\tcase a:\n\t//museum:x\n\tcase b:\n\t\tg()\n\t}\n}\n", "case b:\n\t\tg()"},
		{"else", "func f(a, b bool) {\n\tif a {\n\t\tg()\n\t\t//museum:x\n\t} else if b {\n\t\th()\n\t}\n}\n", "if b {\n\t\th()\n\t}"},
		{"element", "var a = t{\n\t//museum:x\n\tb: c && d,\n\te: f,\n}\n", "b: c && d"},
		{"operand", "var a = b &&\n\t//museum:x\n\tc() &&\n\td\n", "c()"},
		{"comments between", "func f() {\n\t//museum:x\n\t// Why a.\n\n\ta() // a\n}\n", "a()"},
		{"several markers", "func f() {\n\t//museum:y, z/2, x\n\ta()\n}\n", "a()"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := readCode(write(t, map[string]string{"go.mod": "module m\n", "a/b/f.go": "package p\n\n" + test.text}))
			require.NoError(t, err)
			p, err := c.one("x")
			require.NoError(t, err)
			from, to := p.file.offsets(p.target)
			require.Equal(t, test.want, p.file.text[from:to])
			require.Equal(t, "a/b/f.go", p.file.name)
		})
	}
}

// A bug that was not planted must not count as one that was caught: a marker that is
// gone, is there twice, or marks nothing is refused, and the error says what to do.
func TestMarkers(t *testing.T) {
	const code = "package p\n\nfunc f() {\n\t//museum:x\n\ta()\n}\n"
	plant := func(t *testing.T, files map[string]string, changes ...change) error {
		root := write(t, files)
		c, err := readCode(root)
		if err != nil {
			return err
		}
		_, err = exhibit{name: "x", plants: changes}.plant(c)
		return err
	}
	t.Run("missing", func(t *testing.T) {
		err := plant(t, map[string]string{
			"x_test.go": code, "testdata/x.go": code, ".hidden/x.go": code,
			"other/go.mod": "module other\n", "other/x.go": code,
		}, drop)
		require.ErrorContains(t, err, "exhibit x: no file has the marker //museum:x: put it on a line of its own above the line that decides")
	})
	t.Run("second place missing", func(t *testing.T) {
		require.ErrorContains(t, plant(t, map[string]string{"x.go": code}, drop, drop), "no file has the marker //museum:x/2")
	})
	t.Run("doubled", func(t *testing.T) {
		err := plant(t, map[string]string{"a.go": code, "b/b.go": code}, drop)
		require.ErrorContains(t, err, "the marker //museum:x is there 2 times, want once (a.go:4, b/b.go:4)")
	})
	t.Run("within each other", func(t *testing.T) {
		err := plant(t, map[string]string{"a.go": "package p\n\n//museum:x\nfunc f() {\n\t//museum:x/2\n\ta()\n}\n"}, instead(""), drop)
		require.ErrorContains(t, err, "a.go: two changes of the exhibit are in each other's text")
	})
	for _, wrong := range []string{"// museum:x", "//museum: x", "//museum:x,y", "//museum:x/0", "//museum:X", "//museum:"} {
		err := plant(t, map[string]string{"x.go": strings.Replace(code, "//museum:x", wrong, 1)}, drop)
		require.ErrorContains(t, err, "x.go:4: a marker is a line of its own, //museum:NAME or //museum:NAME, NAME/2: have", wrong)
	}
	t.Run("behind code", func(t *testing.T) {
		err := plant(t, map[string]string{"x.go": "package p\n\nvar a = 1 //museum:x\n"}, drop)
		require.ErrorContains(t, err, "x.go:3: a marker is a line of its own")
	})
	t.Run("above nothing", func(t *testing.T) {
		err := plant(t, map[string]string{"x.go": "package p\n\nfunc f() {\n\ta()\n\t//museum:x\n}\n\nfunc g() {}\n"}, drop)
		require.ErrorContains(t, err, "x.go:5: no statement or declaration begins below the marker //museum:x")
	})
	t.Run("of no exhibit", func(t *testing.T) {
		c, err := readCode(write(t, map[string]string{"x.go": code}))
		require.NoError(t, err)
		require.Equal(t, []string{"x.go:4: no exhibit has the marker //museum:x"}, c.strangers(map[string]bool{"y": true}))
		require.Empty(t, c.strangers(map[string]bool{"x": true}))
	})
}
