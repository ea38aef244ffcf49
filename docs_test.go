package tidemark_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
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
	exhibits := 0
	for _, name := range files {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`name: "([a-z-]+)"`).FindAllStringSubmatch(string(text), -1) {
			exhibits++
			require.Contains(t, string(doc), "| "+m[1]+": ", "run internal/museum and put its table into docs/testing.md")
		}
	}
	require.Greater(t, exhibits, 25)
}
