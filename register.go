package tidemark

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"sync"

	"github.com/tidemark-go/tidemark/persist"
)

// Opener opens the locations of one scheme. Several goroutines may call it at once.
//
// The URL is the location as net/url.Parse reads it, with the scheme in lower case. The
// opener must refuse every parameter (url.URL.Query) that it does not know, with an error
// that matches ErrLocation and names it: a setting that is ignored because its name is
// misspelt does harm later. It must not put a password of the URL into an error.
type Opener interface {
	// Open opens the location for writing, and creates it if it does not exist. Most openers
	// end with persist.Start, which takes ownership of the log and the blobs.
	//
	// Errors: as tidemark.Open says.
	Open(ctx context.Context, location *url.URL, cfg persist.Config) (*persist.Client, error)

	// OpenRead opens the location for reading, beside whoever writes to it. It writes
	// nothing. Most openers end with persist.StartFollow, or persist.StartRead.
	//
	// Errors: as tidemark.OpenRead says.
	OpenRead(ctx context.Context, location *url.URL, cfg persist.Config) (*persist.ReadClient, error)
}

// registered are the openers by scheme. It is global, as that of database/sql is: a module
// that is imported for its scheme has nothing else to register with.
var registered = struct {
	sync.Mutex
	openers map[string]Opener
}{openers: map[string]Opener{"file": fileOpener{}, "mem": memOpener{}}}

// Register makes Open and OpenRead open the URLs of a scheme by opener. A module calls it when
// it is imported, as the drivers of database/sql do:
//
//	package s3 // of a module that keeps locations in an object store
//
//	func init() { tidemark.Register("s3", opener{}) }
//
// A program then imports that module for its scheme, and opens s3: locations:
//
//	import _ "example.org/tidemark-s3"
//
//	db, err := tidemark.Open(ctx, "s3://bucket/shop", persist.Config{})
//
// The schemes file and mem are there from the beginning. Several goroutines may register, and
// open, at once.
//
// It panics if the scheme is registered already, if opener is nil, or if the scheme is not of
// two or more of a-z, 0-9, +, - and ., the first of them a letter: a program that is put
// together wrongly is to be noticed when it starts.
func Register(scheme string, opener Opener) {
	if !isScheme(scheme) {
		refuse(scheme, "the scheme is not two or more of a-z, 0-9, +, - and ., the first a letter")
	}
	if opener == nil {
		refuse(scheme, "the opener is nil")
	}
	registered.Lock()
	defer registered.Unlock()
	if registered.openers[scheme] != nil {
		refuse(scheme, "it is registered already: import one module for each scheme")
	}
	registered.openers[scheme] = opener
}

func refuse(scheme, why string) {
	panic(fmt.Sprintf("tidemark: register scheme %q: %s", scheme, why)) //nolint:forbidigo // as documented: a mistake of the program, which no input can bring about
}

func opener(scheme string) Opener {
	registered.Lock()
	defer registered.Unlock()
	return registered.openers[scheme]
}

// schemes returns the registered schemes, sorted.
func schemes() []string {
	registered.Lock()
	defer registered.Unlock()
	return slices.Sorted(maps.Keys(registered.openers))
}
