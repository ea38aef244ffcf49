package file

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
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

// storeModel is what a location holds after a run of commands: of each stream its
// updates and two frontiers. It is never changed; apply returns another one.
type storeModel map[string]*streamModel

type streamModel struct {
	upper, since frontier.Antichain
	updates      []rowUpdate
	destroyed    bool
	text         string // see String; empty until it is asked for
}

// storeCommand is one command: the log has one entry for each.
type storeCommand struct {
	create, destroy string // the name of a stream
	parts           []partCommand
}

// partCommand is what a command does to one stream.
type partCommand struct {
	stream      string
	updates     []rowUpdate
	seal, allow *frontier.Antichain
	cas         bool // a compare-and-append from the upper in force to seal
}

func created(name string) storeCommand   { return storeCommand{create: name} }
func destroyed(name string) storeCommand { return storeCommand{destroy: name} }

func wrote(name string, updates []rowUpdate) storeCommand {
	return storeCommand{parts: []partCommand{{stream: name, updates: updates}}}
}

func sealed(name string, upper uint64) storeCommand {
	to := frontier.At(upper)
	return storeCommand{parts: []partCommand{{stream: name, seal: &to}}}
}

func compacted(name string, since uint64) storeCommand {
	to := frontier.At(since)
	return storeCommand{parts: []partCommand{{stream: name, allow: &to}}}
}

// together is one command that does what several do to streams.
func together(commands ...storeCommand) (all storeCommand) {
	for _, c := range commands {
		all.parts = append(all.parts, c.parts...)
	}
	return all
}

// apply returns the model after a command. To create what is there changes nothing.
func (m storeModel) apply(c storeCommand) storeModel {
	after := storeModel{}
	maps.Copy(after, m)
	if c.create != "" && after[c.create] == nil {
		after[c.create] = &streamModel{}
	}
	if c.destroy != "" {
		after[c.destroy] = &streamModel{destroyed: true}
	}
	for _, p := range c.parts {
		s := after[p.stream]
		s = &streamModel{upper: s.upper, since: s.since, updates: slices.Concat(s.updates, p.updates)}
		if p.seal != nil {
			s.upper = *p.seal
		}
		if p.allow != nil {
			s.since = *p.allow
		}
		// Updates are kept as a reader is to see them, so that a model stays small.
		s.updates = consolidated(s.updates, s.since)
		after[p.stream] = s
	}
	return after
}

func consolidated(updates []rowUpdate, since frontier.Antichain) []rowUpdate {
	sums := map[rowUpdate]int64{}
	for _, u := range updates {
		diff := u.Diff
		u.Time, u.Diff = since.Advance(u.Time), 0
		sums[u] += diff
	}
	var all []rowUpdate
	for u, diff := range sums {
		if u.Diff = diff; diff != 0 {
			all = append(all, u)
		}
	}
	slices.SortFunc(all, func(a, b rowUpdate) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Val, b.Val), cmp.Compare(a.Time, b.Time))
	})
	return all
}

// live returns the names of the streams that were not destroyed.
func (m storeModel) live() []string {
	return slices.Sorted(func(yield func(string) bool) {
		for name, s := range m {
			if !s.destroyed && !yield(name) {
				return
			}
		}
	})
}

// open returns the names of the live streams that are not finished.
func (m storeModel) open() []string {
	return slices.DeleteFunc(m.live(), func(name string) bool { return m[name].upper.IsEmpty() })
}

// bulk returns a command that needs another segment of the log, and leaves no trace
// in the contents.
func (m storeModel) bulk() storeCommand {
	open := m.open()
	if len(open) == 0 {
		return storeCommand{create: fmt.Sprintf("stream-%02d", len(m)) + strings.Repeat("x", longNameSize)}
	}
	upper, _ := m[open[0]].upper.Elem()
	return storeCommand{parts: []partCommand{{
		stream: open[0], updates: []rowUpdate{{Key: strings.Repeat("k", MinSegmentSize-segmentDataStart-1000), Time: upper}},
	}}}
}

// upper returns the time of a stream's upper: 0 if there is no such stream, or if it
// is finished.
func (m storeModel) upper(name string) (at uint64) {
	if s := m[name]; s != nil {
		at, _ = s.upper.Elem()
	}
	return at
}

// String is what a reader is to see: see readStore.
func (m storeModel) String() string {
	var b strings.Builder
	for _, name := range m.live() {
		s := m[name]
		if s.text == "" {
			s.text = string(appendStream(nil, name, s.upper, s.since, s.updates))
		}
		b.WriteString(s.text)
	}
	return b.String()
}

// texts is String, of each stream by itself.
func (m storeModel) texts() map[string]string {
	texts := map[string]string{}
	for _, name := range m.live() {
		s := m[name]
		texts[name] = string(appendStream(nil, name, s.upper, s.since, s.updates))
	}
	return texts
}

func appendStream(b []byte, name string, upper, since frontier.Antichain, updates []rowUpdate) []byte {
	b = append(b, name[:min(len(name), 12)]...)
	b = fmt.Appendf(b, " upper %v since %v\n", upper, since)
	for _, u := range updates {
		b = append(append(b, "  "...), u.Key...)
		b = strconv.AppendUint(append(b, ' '), u.Val, 10)
		b = strconv.AppendUint(append(b, " @"...), u.Time, 10)
		b = strconv.AppendInt(append(b, " x "...), u.Diff, 10)
		b = append(b, '\n')
	}
	return b
}

// Limits of the store under test: few streams and keys, so that images stay small.
const (
	maxStreams   = 6
	maxNames     = 40 // over the life of a store
	longNameSize = 1000
)

// codecs returns those of a stream. A stream with a long name has codecs with long names,
// too: the edit that creates it has 9 KiB.
func codecs(stream string) (persist.Codec[string], persist.Codec[uint64]) {
	if len(stream) < longNameSize {
		return codec.String, codec.Uint64
	}
	long := strings.Repeat("x", 4000)
	return codec.Func("k"+long, codec.String.Append, codec.String.Decode), codec.Func("v"+long, codec.Uint64.Append, codec.Uint64.Decode)
}

// next draws a command that a store in this state accepts.
func (m storeModel) next(rng *rand.Rand) storeCommand {
	live := m.live()
	open := m.open()
	switch p := rng.IntN(100); {
	case len(m) < maxNames && (len(open) < 3 || p < 6 && len(live) < maxStreams):
		name := fmt.Sprintf("stream-%02d", len(m))
		if len(m)%2 == 0 { // so that edits soon outweigh the base of the manifest
			name += strings.Repeat("x", longNameSize)
		}
		return storeCommand{create: name}
	case p < 10 && len(live) > 3 && len(m) < maxNames:
		return storeCommand{destroy: live[rng.IntN(len(live))]}
	case p < 12 && len(m) < maxNames:
		finish := frontier.Empty()
		return storeCommand{parts: []partCommand{{stream: open[rng.IntN(len(open))], seal: &finish}}}
	case p < 20:
		name := live[rng.IntN(len(live))]
		s := m[name]
		at, ok := s.upper.Elem()
		since, _ := s.since.Elem()
		if !ok {
			at = since + 3
		}
		to := frontier.At(max(since+1, at-min(at, rng.Uint64N(4)))) // the since in force would be no entry
		return storeCommand{parts: []partCommand{{stream: name, allow: &to}}}
	case p < 45 && len(open) > 1:
		rng.Shuffle(len(open), func(i, j int) { open[i], open[j] = open[j], open[i] })
		var c storeCommand
		for _, name := range open[:2+rng.IntN(min(2, len(open)-1))] {
			c.parts = append(c.parts, m.part(rng, name, false))
		}
		return c
	default:
		return storeCommand{parts: []partCommand{m.part(rng, open[rng.IntN(len(open))], p < 55)}}
	}
}

// part draws a write with or without a seal, or a seal without a write.
func (m storeModel) part(rng *rand.Rand, name string, cas bool) partCommand {
	s := m[name]
	upper, _ := s.upper.Elem()
	p := partCommand{stream: name, cas: cas}
	ahead := uint64(6)
	if cas || rng.IntN(3) == 0 {
		seal := frontier.At(upper + 1 + rng.Uint64N(3))
		p.seal = &seal
		if to, _ := seal.Elem(); cas {
			ahead = to - upper
		}
	}
	if p.seal == nil || rng.IntN(4) > 0 {
		for range 1 + rng.IntN(4) {
			p.updates = append(p.updates, rowUpdate{
				Key: "key-" + strconv.Itoa(rng.IntN(6)), Val: rng.Uint64N(4),
				Time: upper + rng.Uint64N(ahead), Diff: 1 - 2*rng.Int64N(2),
			})
		}
		if rng.IntN(8) == 0 { // one that takes several sectors, and is taken back
			big := rowUpdate{Key: strings.Repeat("k", 700+rng.IntN(1500)), Time: upper, Diff: 1}
			p.updates = append(p.updates, big)
			big.Diff = -1
			p.updates = append(p.updates, big)
		}
	}
	return p
}
