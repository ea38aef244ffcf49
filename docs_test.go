package tidemark_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNamedTestsExist holds the documents to the tests that they name: a promise
// whose test was renamed or removed is a promise that nobody holds.
func TestNamedTestsExist(t *testing.T) {
	declared := map[string]int{}
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	require.NoError(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, m := range function.FindAllStringSubmatch(string(text), -1) {
			declared[m[1]]++
		}
		return nil
	}))
	named := 0
	for _, doc := range documents(t) {
		text, err := os.ReadFile(doc)
		require.NoError(t, err)
		for _, name := range regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z0-9]\\w*)`").FindAllStringSubmatch(string(text), -1) {
			named++
			// Of two with one name, the one that is meant could go unnoticed.
			if n := declared[name[1]]; n != 1 {
				t.Errorf("%s names %s, which is there %d times", doc, name[1], n)
			}
		}
	}
	require.Greater(t, named, 50)
}

// TestMuseumIsDocumented holds the table of docs/testing.md to the exhibits.
func TestMuseumIsDocumented(t *testing.T) {
	doc, err := os.ReadFile("docs/testing.md")
	require.NoError(t, err)
	files, err := filepath.Glob("internal/museum/exhibits_*.go")
	require.NoError(t, err)
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\| ([a-z-]+): `).FindAllStringSubmatch(string(doc), -1) {
		documented[m[1]] = true
	}
	exhibits := 0
	for _, name := range files {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`name: "([a-z-]+)"`).FindAllStringSubmatch(string(text), -1) {
			exhibits++
			require.True(t, documented[m[1]], "docs/testing.md has no %s: put what internal/museum prints there", m[1])
			delete(documented, m[1])
		}
	}
	require.Empty(t, documented, "docs/testing.md has these, and the museum does not")
	require.Greater(t, exhibits, 25)
}

// TestMap holds the map of docs/design.md to the tree: every file of the directories that
// it has a table for is in that table and no other is, and an arrow is drawn where there is
// an import, and only there.
func TestMap(t *testing.T) {
	doc, err := os.ReadFile("docs/design.md")
	require.NoError(t, err)
	_, text, ok := strings.Cut(string(doc), "\n## Map\n")
	require.True(t, ok)
	text, _, ok = strings.Cut(text, "\n## ")
	require.True(t, ok)

	tables := regexp.MustCompile("(?m)^\\| question \\| file in `([\\w/]+)/` \\|\n((?:\\|.*\n)+)").FindAllStringSubmatch(text, -1)
	var dirs []string
	for _, table := range tables {
		dir := table[1]
		dirs = append(dirs, dir)
		named := map[string]bool{}
		for _, m := range regexp.MustCompile("`(\\w+\\.go)`").FindAllStringSubmatch(table[2], -1) {
			named[m[1]] = true
		}
		for _, file := range productFiles(t, dir) {
			name := filepath.Base(file)
			if name == "doc.go" {
				continue
			}
			require.True(t, named[name], "the map does not say what %s is for", file)
			delete(named, name)
		}
		require.Empty(t, named, "the map names files that %s does not have", dir)
	}
	require.Equal(t, []string{"indexed", "indexed/internal/part", "file"}, dirs)

	drawn := regexp.MustCompile(`(?m)^([.\w]+/(?: \w+/)*) .* <- (.+)$`).FindAllStringSubmatch(text, -1)
	require.Len(t, drawn, 7)
	for _, line := range drawn {
		imports := map[string]bool{}
		for _, dir := range strings.Fields(line[1]) {
			importsBelow(t, dir, imports)
			delete(imports, strings.TrimSuffix(dir, "/"))
		}
		var want []string
		for name := range imports {
			want = append(want, name)
		}
		slices.Sort(want)
		if want == nil {
			want = []string{"nothing"}
		}
		require.Equal(t, want, strings.Fields(line[2]), line[1])
	}
}

// productFiles returns the Go files of a directory that are no tests.
func productFiles(t *testing.T, dir string) []string {
	files, err := filepath.Glob(dir + "/*.go")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return slices.DeleteFunc(files, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
}

// TestFilesAreShort: a file of one idea is short. 450 lines are the most.
func TestFilesAreShort(t *testing.T) {
	files := 0
	require.NoError(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files++
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		if n := strings.Count(string(text), "\n"); n > 450 {
			t.Errorf("%s has %d lines, more than 450: split it by ideas", path, n)
		}
		return nil
	}))
	require.Greater(t, files, 150)
}

// importsBelow adds the directories of this module, by their first names, that the
// packages in a directory import, without internal ones and those of tests.
func importsBelow(t *testing.T, dir string, imports map[string]bool) {
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && dir == "./" && path != dir {
			return fs.SkipDir // the packages below the root have lines of their own
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, i := range file.Imports {
			name, err := strconv.Unquote(i.Path.Value)
			require.NoError(t, err)
			if below, ok := strings.CutPrefix(name, "github.com/tidemark-go/tidemark/"); ok {
				first, _, _ := strings.Cut(below, "/")
				imports[first] = true
			}
		}
		return nil
	}))
	delete(imports, "internal")
}

// TestNamedFilesExist holds the documents and the comments to the files that they name.
func TestNamedFilesExist(t *testing.T) {
	var all []string
	require.NoError(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == ".git" {
			return fs.SkipDir
		}
		all = append(all, "/"+filepath.ToSlash(path))
		return err
	}))
	exists := func(name string) bool {
		pattern := regexp.MustCompile("/" + strings.ReplaceAll(regexp.QuoteMeta(name), `\*`, `[^/]*`) + "$")
		return slices.ContainsFunc(all, pattern.MatchString)
	}
	named := 0
	check := func(path string, name *regexp.Regexp) {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, m := range name.FindAllStringSubmatch(string(text), -1) {
			named++
			if !exists(strings.TrimLeft(m[1], "./")) {
				t.Errorf("%s names %s, which is not there", path, m[1])
			}
		}
	}
	for _, doc := range documents(t) {
		check(doc, regexp.MustCompile("`([\\w./*-]*\\w\\.(?:go|md|sh|txt))`"))
		check(doc, regexp.MustCompile(`\]\(([\w./-]+)\)`))
	}
	for _, path := range all {
		if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			check(path[1:], regexp.MustCompile(`(?m)^\s*//.*?\b(docs/[\w-]+\.md|\w+\.go)\b`))
		}
	}
	require.Greater(t, named, 60)
}
