package tidemark_test

import (
	"context"
	"fmt"
	"log"
	"net/url"

	"github.com/tidemark-go/tidemark"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
)

// scratch opens locations that are gone when the process ends. Another module would keep
// them elsewhere.
type scratch struct{ places *mem.MultiRegistry }

func (s scratch) Open(ctx context.Context, location *url.URL, cfg persist.Config) (*persist.Client, error) {
	if err := refuseParameters(location); err != nil {
		return nil, err
	}
	return s.places.Open(ctx, location.Path, "scratch", cfg)
}

func (s scratch) OpenRead(ctx context.Context, location *url.URL, cfg persist.Config) (*persist.ReadClient, error) {
	if err := refuseParameters(location); err != nil {
		return nil, err
	}
	return s.places.OpenRead(ctx, location.Path, cfg)
}

func refuseParameters(location *url.URL) error {
	for name := range location.Query() {
		return fmt.Errorf("open: %w: a scratch URL has no parameter %q", tidemark.ErrLocation, name)
	}
	return nil
}

// A module registers its scheme when it is imported.
func init() { //nolint:gochecknoinits // the example is about this
	tidemark.Register("scratch", scratch{mem.NewMultiRegistry()})
}

func ExampleRegister() {
	ctx := context.Background()
	db, err := tidemark.Open(ctx, "scratch:/shop", persist.Config{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(db.Close())
	_, err = tidemark.Open(ctx, "scratch:/shop?size=1", persist.Config{})
	fmt.Println(err)
	// Output:
	// <nil>
	// open: invalid location: a scratch URL has no parameter "size"
}
