package tidemark_test

import (
	"bufio"
	"fmt"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// snippet is a Go code block of a document.
type snippet struct {
	doc  string // path from the root of the module
	line int    // of the block's first line of code
	code string
}

// isProgram reports whether the snippet is a whole file, which can be compiled,
// and not a fragment.
func (s snippet) isProgram() bool {
	return strings.HasPrefix(s.code, "package ") || strings.Contains(s.code, "\npackage ")
}

// TestSnippets holds the documents to what they show: every Go block is formatted
// as gofmt does, and the whole files among them compile and pass vet.
func TestSnippets(t *testing.T) {
	var programs []snippet
	for _, doc := range documents(t) {
		for _, s := range snippets(t, doc) {
			formatted, err := format.Source([]byte(s.code))
			if err != nil {
				t.Errorf("%s:%d: the block does not parse (write left-out code as a comment): %v", s.doc, s.line, err)
				continue
			}
			if string(formatted) != s.code {
				t.Errorf("%s:%d: the block is not formatted; gofmt gives:\n%s", s.doc, s.line, formatted)
			}
			if s.isProgram() {
				programs = append(programs, s)
			}
		}
	}
	require.NotEmpty(t, programs, "no document holds a whole program")
	vet(t, programs)
}

// TestQuickstart holds the README to the program in examples/quickstart, and that to what the
// README makes of it: a page of code that needs five packages of ours.
func TestQuickstart(t *testing.T) {
	text, err := os.ReadFile("examples/quickstart/main.go")
	require.NoError(t, err)
	_, code, ok := strings.Cut(string(text), "\npackage main\n")
	require.True(t, ok)
	code = "package main\n" + code
	shown := snippets(t, "README.md")
	require.Equal(t, code, shown[0].code, "README.md shows another program")

	lines, imports := 0, 0
	for line := range strings.Lines(code) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "//") {
			lines++
		}
		if strings.HasPrefix(line, `"`+module) {
			imports++
		}
	}
	require.LessOrEqual(t, lines, 45, "lines of Go")
	require.LessOrEqual(t, imports, 5, "imports of ours")
	require.Contains(t, code, "tidemark.Open(")

	// Its fragments are parts of examples that run.
	example, err := os.ReadFile("persist/example_test.go")
	require.NoError(t, err)
	for _, s := range shown[1:] {
		require.Contains(t, strings.ReplaceAll(string(example), "\n\t", "\n"), s.code, "README.md:%d", s.line)
	}
}

func documents(t *testing.T) []string {
	docs := []string{"README.md", "CONTRIBUTING.md", "SECURITY.md"}
	for _, pattern := range []string{"docs/*.md", "docs/*/*.md"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		docs = append(docs, found...)
	}
	return docs
}

func snippets(t *testing.T, doc string) []snippet {
	file, err := os.Open(doc)
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()

	var found []snippet
	var open *snippet
	lines := bufio.NewScanner(file)
	for number := 1; lines.Scan(); number++ {
		line := lines.Text()
		switch {
		case open == nil && line == "```go":
			open = &snippet{doc: doc, line: number + 1}
		case open != nil && line == "```":
			found = append(found, *open)
			open = nil
		case open != nil:
			open.code += line + "\n"
		}
	}
	require.NoError(t, lines.Err())
	require.Nil(t, open, "%s: a block is not closed", doc)
	return found
}

// vet compiles and vets each program as a package of a module that uses this one,
// as a user's program does, with the versions of go.mod.
func vet(t *testing.T, programs []snippet) {
	root, err := os.Getwd()
	require.NoError(t, err)
	dir := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}

	mod, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	sum, err := os.ReadFile("go.sum")
	require.NoError(t, err)
	write("go.mod", strings.Replace(string(mod), "module "+module, "module snippets", 1)+
		fmt.Sprintf("\nrequire %s v0.0.0\n\nreplace %s => %q\n", module, module, root))
	write("go.sum", string(sum))
	for _, p := range programs {
		name := "main.go"
		if strings.Contains(p.code, `"testing"`) {
			name = "main_test.go"
		}
		// Errors are reported at the lines of the document.
		write(filepath.Join(fmt.Sprintf("%s.%d", filepath.Base(p.doc), p.line), name),
			fmt.Sprintf("//line %s:%d\n%s", filepath.Join(root, p.doc), p.line, p.code))
	}

	cmd := exec.Command("go", "vet", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "a program in a document does not compile:\n%s", out)
}
