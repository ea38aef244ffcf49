package file_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// goldenDir has one directory for each format that was ever released. In it, each store
// is NAME.tar.gz, since segments are mostly zeros, and what is in the store is NAME.txt.
// SHA256SUMS has the sums of all of them: what was released never changes.
const (
	goldenDir  = "testdata/golden"
	goldenSums = "SHA256SUMS"
)

// eachGolden runs a test for every golden store of every version, or for those alone
// that bear a name.
func eachGolden(t *testing.T, only string, test func(t *testing.T, archive string)) {
	archives, err := filepath.Glob(filepath.Join(goldenDir, "v*", "*.tar.gz"))
	require.NoError(t, err)
	tested := 0
	for _, archive := range archives {
		name := goldenName(archive)
		if (name == "files") != (only == "files") || only != "" && name != only {
			continue
		}
		tested++
		t.Run(filepath.Base(filepath.Dir(archive))+"/"+name, func(t *testing.T) {
			t.Parallel()
			test(t, archive)
		})
	}
	require.NotZero(t, tested)
}

func goldenName(archive string) string {
	return strings.TrimSuffix(filepath.Base(archive), ".tar.gz")
}

// packGolden returns the archive of a directory, which depends on names and contents alone.
func packGolden(t *testing.T, dir string) []byte {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	require.NoError(t, err)
	w := tar.NewWriter(z)
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name := filepath.ToSlash(strings.TrimPrefix(path, dir+string(filepath.Separator)))
		if d.IsDir() {
			return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o700})
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600, Size: int64(len(data))}); err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	}))
	require.NoError(t, w.Close())
	require.NoError(t, z.Close())
	return out.Bytes()
}

// unpackGolden lays an archive out in a directory of its own.
func unpackGolden(t *testing.T, archive string) (dir string) {
	dir = t.TempDir()
	f, err := os.Open(archive)
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		require.NoError(t, err)
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		if h.Typeflag == tar.TypeDir {
			require.NoError(t, os.Mkdir(path, 0o700))
			continue
		}
		data, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, data, 0o600))
	}
}

// sumOfStore returns a sum of all names and contents in a directory.
func sumOfStore(t *testing.T, dir string) string {
	sum := sha256.New()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%q %v\n", strings.TrimPrefix(path, dir), d.IsDir())
		if d.IsDir() {
			return nil
		}
		data, err := os.ReadFile(path)
		fmt.Fprintf(sum, "%d %s\n", len(data), data)
		return err
	}))
	return fmt.Sprintf("%x", sum.Sum(nil))
}

// goldenSumsOf returns the SHA256SUMS of a directory of golden stores.
func goldenSumsOf(t *testing.T, dir string) string {
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	slices.Sort(names)
	var out strings.Builder
	for _, name := range names {
		if filepath.Base(name) == goldenSums {
			continue
		}
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		fmt.Fprintf(&out, "%x  %s\n", sha256.Sum256(data), filepath.Base(name))
	}
	return out.String()
}

// The golden stores are those that were released, and small.
func TestGoldenSums(t *testing.T) {
	dirs, err := filepath.Glob(filepath.Join(goldenDir, "v*"))
	require.NoError(t, err)
	require.NotEmpty(t, dirs)
	for _, dir := range dirs {
		want, err := os.ReadFile(filepath.Join(dir, goldenSums))
		require.NoError(t, err)
		require.Equal(t, string(want), goldenSumsOf(t, dir), "a released format does not change: add a directory for a new one")
		size := int64(0)
		names, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, n := range names {
			info, err := n.Info()
			require.NoError(t, err)
			size += info.Size()
		}
		require.Less(t, size, int64(300<<10), "bytes in %s", dir)
	}
}
