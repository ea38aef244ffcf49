package sink

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// The states of a side stream: its upper modulo 4.
const (
	idle       = 0
	open       = 1
	sealed     = 2
	takingBack = 3
)

// side is the side stream of an output. It mirrors the rows that parts have written there
// unsealed: see docs/parts.md.
type side struct {
	write *persist.WriteHandle[[]byte, []byte]
	read  *persist.ReadHandle[[]byte, []byte]
	both  *persist.MultiWriteHandle // of the output and the side stream
	gen   uint64                    // its upper
	since frontier.Antichain
}

func (s *side) state() uint64 { return s.gen % 4 }

// next returns the next generation of a state.
func (s *side) next(state uint64) uint64 {
	gen := s.gen + 1
	for gen%4 != state {
		gen++
	}
	return gen
}

const maxNameBytes = 1024

// sideName returns the name of the side stream of an output.
func sideName(output string) string {
	if name := "tidemark/parts/" + output; len(name) <= maxNameBytes && utf8.ValidString(name) {
		return name
	}
	sum := sha256.Sum256([]byte(output))
	return "tidemark/parts#" + hex.EncodeToString(sum[:])
}

// openSide opens the side stream, and makes it if it does not exist.
func (w *writer[K, V]) openSide() error {
	if w.side != nil {
		return nil
	}
	name := w.sideName
	var write *persist.WriteHandle[[]byte, []byte]
	var read *persist.ReadHandle[[]byte, []byte]
	if err := w.insist(func() (err error) {
		write, read, err = persist.CreateOrLoad(w.ctx, w.write.Client(), name, codec.Bytes, codec.Bytes)
		return err
	}); err != nil {
		return w.sideError(err)
	}
	at, err := write.Description(w.ctx)
	if err != nil {
		return w.sideError(err)
	}
	gen, ok := at.Upper.Elem()
	if !ok {
		return w.sideError(&persist.StreamError{Stream: name, Kind: persist.ErrInvalid, Detail: "somebody has finished it: no batch can be written in parts any more"})
	}
	both, err := persist.NewMultiWriteHandle(w.write, write)
	if err != nil {
		return err
	}
	w.side = &side{write: write, read: read, both: both, gen: gen, since: at.Since}
	return nil
}

func (w *writer[K, V]) sideError(err error) error {
	return fmt.Errorf("tidemark: sink of stream %q: the stream for parts of batches: %w", w.write.StreamName(), err)
}

// lookForSide says whether the output has a side stream.
func (s *Sink[K, V]) lookForSide() (bool, error) {
	_, err := s.write.Client().Description(s.ctx, s.sideName)
	if errors.Is(err, persist.ErrUnknownStream) || errors.Is(err, persist.ErrDestroyed) {
		return false, nil
	}
	return err == nil, err
}

// move brings the side stream to the next generation of a state. That generation then
// belongs to this sink.
func (w *writer[K, V]) move(state uint64) error {
	gen := w.side.next(state)
	if err := w.do(w.side.both, func(a *persist.AtomicWrite) error { return w.addMove(a, gen) }); err != nil {
		return err
	}
	w.side.moved(gen)
	return nil
}

func (w *writer[K, V]) addMove(a *persist.AtomicWrite, gen uint64) error {
	if err := persist.AddSeal(a, w.side.write, gen); err != nil {
		return err
	}
	if since := frontier.At(gen); w.side.since.LessThan(since) {
		return persist.AddAllowCompaction(a, w.side.write, since)
	}
	return nil
}

func (s *side) moved(gen uint64) {
	s.gen = gen
	s.since = s.since.Join(frontier.At(gen))
}

// newChain returns a chain whose commands fail if another sink's parts are on their way. A
// sink without a side stream expects it to be absent, or at {0}.
func (w *writer[K, V]) newChain() (c persist.Chain) {
	gen := uint64(0)
	if w.side != nil {
		gen = w.side.gen
	}
	//museum:parts-not-owned
	c.ExpectUpperOf(w.sideName, frontier.At(gen))
	return c
}
