package tidemark

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/persist"
)

// ErrLocation: the name of a location cannot be understood. It is malformed, or has a scheme
// that nobody has registered, or a parameter that its scheme does not know. The message says
// which, and what to write instead. Nothing was opened.
var ErrLocation = errors.New("invalid location")

// Open opens a location for writing, and starts a runtime on it. The location is created if
// it does not exist. Close the client when you are done: the last Close stops the runtime.
//
// A location is a directory, or a URL. It is a URL if it begins with a scheme of two letters
// or more and a colon; so C:\shop.db is a directory. To open a directory whose name begins
// like that, write ./ before it.
//
//	location              opens
//	------------------    -----------------------------------------------------------
//	shop.db, /data/shop   the directory, by file.Open; a relative path is relative to the
//	                      working directory
//	file:shop.db          the same directory, as a URL: %20 is a space, and so on
//	file:///data/shop     the same, absolute; on Windows file:///C:/data/shop
//	mem:shop              the place "shop" in the memory of this process: it has its data
//	                      when it is opened again, until the process ends
//	SCHEME:...            what the module of that scheme says: see Register
//
// The URLs of file and mem take no parameters. A parameter that a scheme does not know is
// refused, and the error names it. Options beside the configuration are arguments of
// file.Open.
//
// Errors: ErrLocation; persist.ErrLocked while somebody else has the location open for
// writing, also within this process; persist.ErrInvalid for a cfg out of range;
// persist.ErrCorrupt; persist.ErrNewerFormat; the storage's and the context's, which bounds
// the opening.
//
// It may be called by several goroutines at once. It blocks until the location is recovered,
// which takes time in proportion to its log: see persist.Config.MaxLogBytes.
func Open(ctx context.Context, location string, cfg persist.Config) (*persist.Client, error) {
	opener, u, err := find(location)
	switch {
	case err != nil:
		return nil, fmt.Errorf("tidemark: open: %w", err)
	case opener == nil:
		return file.Open(ctx, location, cfg)
	}
	return opener.Open(ctx, u, cfg)
}

// OpenRead opens a location for reading, beside whoever writes to it. The runtime follows the
// writer: every read shows what was acknowledged before it. It takes no lock and writes
// nothing. A location that does not exist is empty. Close the client when you are done.
//
// The location is written as for Open. A writer of a mem location is in the same process.
//
// Errors: as Open, but never persist.ErrLocked.
//
// It may be called by several goroutines at once.
func OpenRead(ctx context.Context, location string, cfg persist.Config) (*persist.ReadClient, error) {
	opener, u, err := find(location)
	switch {
	case err != nil:
		return nil, fmt.Errorf("tidemark: open for reading: %w", err)
	case opener == nil:
		return file.OpenRead(ctx, location, cfg)
	}
	return opener.OpenRead(ctx, u, cfg)
}

// find returns who opens a location, and its URL; no opener means that it is a directory.
func find(location string) (Opener, *url.URL, error) {
	if location == "" {
		return nil, nil, fmt.Errorf("%w: it is empty: give a directory, or a URL such as file:///data/shop", ErrLocation)
	}
	scheme, rest, ok := strings.Cut(location, ":")
	if !ok || len(scheme) < 2 || strings.ContainsAny(scheme, `/\`) {
		return nil, nil, nil
	}
	scheme = strings.ToLower(scheme)
	if !isScheme(scheme) {
		if strings.HasPrefix(rest, "//") {
			return nil, nil, fmt.Errorf("%w: %q is not the scheme of a URL: for a directory of that name write ./ before it", ErrLocation, scheme)
		}
		return nil, nil, nil
	}
	opener := opener(scheme)
	if opener == nil {
		return nil, nil, fmt.Errorf("%w: the scheme %q is not registered; registered are %s: import the module that has it (see tidemark.Register), or, for a directory of that name, write ./ before it",
			ErrLocation, scheme, strings.Join(schemes(), ", "))
	}
	if strings.HasSuffix(location, "#") { // url.Parse drops it
		return nil, nil, fmt.Errorf("%w: a %s URL that ends with a #: write %%23 for a # in a name", ErrLocation, scheme)
	}
	u, err := url.Parse(location)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %s", ErrLocation, malformed(scheme, location))
	}
	return opener, u, nil
}

// badEscape is a % that no two hexadecimal digits follow.
var badEscape = regexp.MustCompile(`%([^0-9A-Fa-f]|.[^0-9A-Fa-f]|.?$)`)

// malformed says why a URL cannot be read. It quotes nothing of the URL, which may hold a
// password. The errors of net/url do.
func malformed(scheme, location string) string {
	why := "between // and the next / it has no host, or a port that is no number; write %40, %3A and %2F for @, : and / in a user or a password"
	switch {
	case strings.ContainsFunc(location, unicode.IsControl):
		why = "it has a control character, such as the end of a line: leave it out"
	case badEscape.MatchString(location):
		why = "it has a % without two hexadecimal digits after it: write %25 for a % itself"
	case scheme == "file":
		why = "a name that is no host belongs behind file: without slashes, or behind file:///; write %40, %3A and %2F for @, : and / in a name"
	case scheme == "mem":
		why = "write mem:NAME, without a slash before the name"
	}
	return fmt.Sprintf("a %s URL that cannot be read: %s", scheme, why)
}

// isScheme reports whether a name is the scheme of a URL, in lower case, as RFC 3986 has it,
// and cannot be the letter of a Windows drive.
func isScheme(name string) bool {
	for i, r := range name {
		switch {
		case 'a' <= r && r <= 'z':
		case i > 0 && ('0' <= r && r <= '9' || strings.ContainsRune("+-.", r)):
		default:
			return false
		}
	}
	return len(name) >= 2
}
