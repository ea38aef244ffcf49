package main

import (
	"go/parser"
	"go/token"
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
	names := map[string]bool{}
	for _, x := range exhibits {
		t.Run(x.name, func(t *testing.T) {
			require.False(t, names[x.name], "two exhibits have this name")
			names[x.name] = true
			require.NotEmpty(t, x.bug)
			require.NotEmpty(t, x.origin)
			texts, err := x.plant(root)
			require.NoError(t, err)
			for name, text := range texts {
				_, err := parser.ParseFile(token.NewFileSet(), name, text, 0)
				require.NoError(t, err)
			}
			test, _, _ := strings.Cut(x.test, "/")
			require.Regexp(t, `^Test\w+$`, test)
			require.True(t, declares(t, filepath.Join(root, x.pkg), test), "%s has no %s", x.pkg, test)
		})
	}
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

// A text that is not there, or more than once, is refused: a bug that was not planted
// must not count as one that was caught.
func TestPlant(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(root, "f.go"), []byte("a b b c"), 0o600))
	plant := func(edits ...edit) (string, error) {
		texts, err := exhibit{edits: edits}.plant(root)
		return texts["f.go"], err
	}
	got, err := plant(edit{"f.go", "a b", "x"}, edit{"f.go", "x b", "y"})
	require.NoError(t, err)
	require.Equal(t, "y c", got)
	for _, old := range []string{"b", "d"} {
		_, err := plant(edit{"f.go", old, "x"})
		require.ErrorContains(t, err, "times, want once")
	}
	_, err = plant(edit{"g.go", "a", "x"})
	require.ErrorIs(t, err, os.ErrNotExist)
}
