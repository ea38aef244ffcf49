package file

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

type (
	rowUpdate = persist.Update[string, uint64]
	rowWriter = persist.WriteHandle[string, uint64]
	rowReader = persist.ReadHandle[string, uint64]
)

// world is what a location holds, as a user sees it: the model of it.
type world map[string]*modelStream

type modelStream struct {
	upper, since frontier.Antichain
	updates      []rowUpdate // as written
}

// deed is what one command does to a world.
type deed func(world)

func created(name string) deed {
	return func(w world) {
		if w[name] == nil {
			w[name] = &modelStream{}
		}
	}
}

func wrote(name string, updates []rowUpdate) deed {
	return func(w world) { w[name].updates = append(w[name].updates, updates...) }
}

func sealed(name string, upper uint64) deed {
	return func(w world) { w[name].upper = frontier.At(upper) }
}

func compacted(name string, since uint64) deed {
	return func(w world) { w[name].since = frontier.At(since) }
}

func together(changes ...deed) deed {
	return func(w world) {
		for _, c := range changes {
			c(w)
		}
	}
}

// stream is one stream as text: frontiers and consolidated contents.
func streamText(name string, upper, since frontier.Antichain, updates []rowUpdate) string {
	type row struct {
		key       string
		val, time uint64
	}
	rows := map[row]int64{}
	for _, u := range updates {
		rows[row{u.Key, u.Val, since.Advance(u.Time)}] += u.Diff
	}
	lines := []string{}
	for r, diff := range rows {
		if diff != 0 {
			lines = append(lines, fmt.Sprintf("  %s %d @%d %+d\n", r.key, r.val, r.time, diff))
		}
	}
	slices.Sort(lines)
	return fmt.Sprintf("%s upper %s since %s\n%s", name, upper, since, strings.Join(lines, ""))
}

func (w world) String() string {
	var texts []string
	for name, s := range w {
		texts = append(texts, streamText(name, s.upper, s.since, s.updates))
	}
	slices.Sort(texts)
	return strings.Join(texts, "")
}

// history is what was asked of a location: changes that were acknowledged, in
// order, and after them those of which it is not known yet.
type history struct {
	sure, maybe []deed
}

func (h *history) world(maybe int) world {
	w := world{}
	together(h.sure...)(w)
	together(h.maybe[:maybe]...)(w)
	return w
}

// match returns how many of the changes that are not known have taken effect,
// given what is there now. It reports false if no number explains it.
func (h *history) match(text string) (int, bool) {
	for n := range len(h.maybe) + 1 {
		if h.world(n).String() == text {
			return n, true
		}
	}
	return 0, false
}

// settle is match, after which nothing is unknown any more.
func (h *history) settle(text string) bool {
	n, ok := h.match(text)
	if ok {
		h.sure, h.maybe = append(h.sure, h.maybe[:n]...), nil
	}
	return ok
}

// readers is either kind of client.
type readers interface {
	Streams(context.Context) ([]persist.StreamInfo, error)
}

// worldText reads all that a client can see. The order of streams is that of their
// names.
func worldText(ctx context.Context, c readers, load func(name string) (*rowReader, error)) (string, error) {
	infos, err := c.Streams(ctx)
	if err != nil {
		return "", err
	}
	var texts []string
	for _, info := range infos {
		text, err := streamOf(ctx, info.Name, load)
		if err != nil {
			return "", err
		}
		texts = append(texts, text)
	}
	slices.Sort(texts)
	return strings.Join(texts, ""), nil
}

func streamOf(ctx context.Context, name string, load func(name string) (*rowReader, error)) (string, error) {
	r, err := load(name)
	if err != nil {
		return "", err
	}
	s, err := r.Snapshot(ctx)
	if err != nil {
		return "", err
	}
	updates, err := s.ReadToEnd(ctx)
	if err != nil {
		_ = s.Close()
		return "", err
	}
	return streamText(name, s.Upper(), s.Since(), updates), s.Close()
}

func loadFrom(ctx context.Context, c *persist.ReadClient) func(string) (*rowReader, error) {
	return func(name string) (*rowReader, error) {
		return persist.Load(ctx, c, name, codec.String, codec.Uint64)
	}
}

func createIn(ctx context.Context, c *persist.Client) func(string) (*rowReader, error) {
	return func(name string) (*rowReader, error) {
		_, r, err := persist.CreateOrLoad(ctx, c, name, codec.String, codec.Uint64)
		return r, err
	}
}
