package file

import (
	"path/filepath"
	"strings"

	"github.com/tidemark-go/tidemark/storage"
)

// A key becomes a path below the directory of blobs. The mapping can be undone. It does not
// depend on how a file system treats letter case or reserved names. Usual keys stay readable,
// and so do their extensions:
//
//   - the bytes a-z 0-9 - _ and . stand for themselves, except a . at the start of a
//     piece;
//   - every other byte is % and two lower-case hexadecimal digits;
//   - a result that is longer than maxNamePart is cut into pieces of at most that size; each
//     piece but the last gets a ~ and is a directory that holds the next one.
//
// "s/1/t-5.parquet" is the file s%2f1%2ft-5.parquet.
const (
	maxNamePart   = 200 // file systems allow 255 bytes
	nameContinues = "~"
	hexDigits     = "0123456789abcdef"
)

// validKey reports whether a blob may have this key.
func validKey(key string) bool { return key != "" && len(key) <= storage.MaxKeySize }

// blobPath returns the path of a key, relative to the directory of blobs.
func blobPath(key string) string {
	var b strings.Builder
	part := 0
	put := func(token string) {
		if part+len(token) > maxNamePart {
			b.WriteString(nameContinues)
			b.WriteByte(filepath.Separator)
			part = 0
		}
		b.WriteString(token)
		part += len(token)
	}
	for i := range len(key) {
		c := key[i]
		if 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.' && 0 < part && part < maxNamePart {
			put(key[i : i+1])
		} else {
			put(string([]byte{'%', hexDigits[c>>4], hexDigits[c&15]}))
		}
	}
	return b.String()
}

// blobKey is the inverse of blobPath. It reports false for a path that blobPath never
// makes.
func blobKey(path string) (string, bool) {
	var b strings.Builder
	joined := strings.ReplaceAll(path, nameContinues+string(filepath.Separator), "")
	for i := 0; i < len(joined); i++ {
		c := joined[i]
		if c == '%' {
			if i+2 >= len(joined) {
				return "", false
			}
			hi, lo := strings.IndexByte(hexDigits, joined[i+1]), strings.IndexByte(hexDigits, joined[i+2])
			if hi < 0 || lo < 0 {
				return "", false
			}
			c = byte(hi<<4 | lo)
			i += 2
		}
		b.WriteByte(c)
	}
	key := b.String()
	return key, validKey(key) && blobPath(key) == path
}
