package tidemark

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
)

// fileOpener opens directories of the local disk by their URLs.
type fileOpener struct{}

func (fileOpener) Open(ctx context.Context, location *url.URL, cfg persist.Config) (*persist.Client, error) {
	dir, err := directory(location, runtime.GOOS)
	if err != nil {
		return nil, fmt.Errorf("tidemark: open: %w", err)
	}
	return file.Open(ctx, dir, cfg)
}

func (fileOpener) OpenRead(ctx context.Context, location *url.URL, cfg persist.Config) (*persist.ReadClient, error) {
	dir, err := directory(location, runtime.GOOS)
	if err != nil {
		return nil, fmt.Errorf("tidemark: open for reading: %w", err)
	}
	return file.OpenRead(ctx, dir, cfg)
}

// drive is how the path of a file URL begins that names a Windows drive.
var drive = regexp.MustCompile(`^/[A-Za-z]:(/|$)`)

// directory returns the directory that a file URL names on an operating system.
func directory(u *url.URL, goos string) (string, error) {
	path, err := plain(u)
	switch {
	case err != nil:
		return "", err
	case u.Host != "" && !strings.EqualFold(u.Host, "localhost"):
		return "", fmt.Errorf("%w: the file URL has a host%s: write file:shop.db for a relative path, and file:///data/shop for an absolute one",
			ErrLocation, shown(u, u.Host))
	case path == "":
		return "", fmt.Errorf("%w: the file URL names no directory: write file:shop.db or file:///data/shop", ErrLocation)
	case goos == "windows" && drive.MatchString(path):
		path = path[1:]
	}
	return filepath.FromSlash(path), nil
}

// memOpener opens places in the memory of this process by their names.
type memOpener struct{}

// places are the places of mem: URLs. They live as long as the process, as a directory
// outlives its runtimes.
var places = mem.NewMultiRegistry()

// openings counts the openings of places: each is another owner, or a place would take it for
// the same one come back, and fence the runtime before.
var openings atomic.Uint64

func (memOpener) Open(ctx context.Context, location *url.URL, cfg persist.Config) (*persist.Client, error) {
	name, err := placeName(location)
	if err != nil {
		return nil, fmt.Errorf("tidemark: open: %w", err)
	}
	return places.Open(ctx, name, fmt.Sprintf("runtime %d of this process", openings.Add(1)), cfg)
}

func (memOpener) OpenRead(ctx context.Context, location *url.URL, cfg persist.Config) (*persist.ReadClient, error) {
	name, err := placeName(location)
	if err != nil {
		return nil, fmt.Errorf("tidemark: open for reading: %w", err)
	}
	return places.OpenRead(ctx, name, cfg)
}

func placeName(u *url.URL) (string, error) {
	name, err := plain(u)
	switch {
	case err != nil:
		return "", err
	case u.Opaque == "" || name == "":
		return "", fmt.Errorf("%w: the mem URL names no place: write mem:NAME, without a slash before the name", ErrLocation)
	}
	return name, nil
}

// plain returns the unescaped path of a URL that has nothing else: no parameter, user or
// fragment, which would be ignored.
func plain(u *url.URL) (string, error) {
	parameters, err := url.ParseQuery(u.RawQuery)
	switch {
	case err != nil:
		return "", fmt.Errorf("%w: parameters of the %s URL that cannot be read: leave them out, or write %%3F for a question mark in a name", ErrLocation, u.Scheme)
	case len(parameters) > 0:
		return "", fmt.Errorf("%w: %s URLs have no parameters%s: leave them out, or write %%3F for a question mark in a name",
			ErrLocation, u.Scheme, shown(u, slices.Sorted(maps.Keys(parameters))...))
	case u.ForceQuery || u.RawQuery != "":
		return "", fmt.Errorf("%w: a %s URL with a question mark and no parameter: write %%3F for a question mark in a name", ErrLocation, u.Scheme)
	case u.User != nil:
		return "", fmt.Errorf("%w: %s URLs have no user: write %%40 for an @ in a name", ErrLocation, u.Scheme)
	case u.Fragment != "":
		return "", fmt.Errorf("%w: %s URLs have no fragment%s: write %%23 for a # in a name", ErrLocation, u.Scheme, shown(u, "#"+u.Fragment))
	case u.Opaque == "":
		return u.Path, nil
	}
	path, err := url.PathUnescape(u.Opaque)
	if err != nil {
		return "", fmt.Errorf("%w: %s", ErrLocation, malformed(u.Scheme, u.Opaque))
	}
	return path, nil
}

// shown returns parts of a URL for an error. It shows none of a URL with an @: what net/url
// takes for a host, a parameter or a fragment may be a part of a password there.
func shown(u *url.URL, parts ...string) string {
	if strings.Contains(u.String(), "@") {
		return ""
	}
	for i, p := range parts {
		parts[i] = fmt.Sprintf("%q", p)
	}
	return ", here " + strings.Join(parts, ", ")
}
