package indexed

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed/internal/part"
	"github.com/tidemark-go/tidemark/indexed/internal/wire"
	"github.com/tidemark-go/tidemark/storage"
)

// StreamID numbers the streams of a location from 0 on, in the order of their registration.
// An id is never used again, not even after the stream was destroyed.
type StreamID uint64

// String returns "Id(0)".
func (id StreamID) String() string { return "Id(" + strconv.FormatUint(uint64(id), 10) + ")" }

// opKind is part of the format of the log: its numbers never change and are never used
// again. Within a command operations are in the order of their kinds, so that updates come
// before the seal that covers them.
type opKind byte

const (
	opRegister        opKind = 1
	opDestroy         opKind = 2
	opWrite           opKind = 3
	opSeal            opKind = 4
	opAllowCompaction opKind = 5
)

// op is one change to one stream.
type op struct {
	kind   opKind
	stream StreamID

	*registration                    // opRegister
	cols          Columns            // opWrite
	frontier      frontier.Antichain // opSeal: the new upper; opAllowCompaction: the new since
}

type registration struct{ name, keyCodec, valCodec string }

// Command is an atomic set of changes. One goroutine builds it and hands it to
// Engine.Submit, once. The whole command becomes durable and visible at one SeqNo, or no
// part of it does.
//
// All writes are checked against the uppers from before the command. Seals and allowed
// compactions take effect after the writes. The zero value is an empty command. A Command
// must not be copied.
type Command struct {
	request // one allocation is enough for most commands and their answers

	few  [2]op  // the memory of ops, if there are at most two
	room []byte // the columns of the first write, with room around them; nil if there are none
}

type expectedUpper struct {
	stream StreamID
	name   string // of the stream; used instead of the id if the stream may not exist
	upper  frontier.Antichain
}

func (c *Command) add(o op) {
	if c.ops == nil {
		c.ops = c.few[:0]
	}
	c.ops = append(c.ops, o)
}

// Write adds updates to a stream. A command may have several writes to one stream.
func (c *Command) Write(id StreamID, cols Columns) {
	c.add(op{kind: opWrite, stream: id, cols: cols})
}

// WriteFrom adds the updates that a builder holds. It copies them to the place from which
// the log will take them. The builder keeps its updates.
func (c *Command) WriteFrom(id StreamID, b *ColumnsBuilder) {
	room := make([]byte, roomBefore, roomBefore+b.Size()+roomAfter)
	if len(c.ops) == 0 {
		c.room = room
	}
	c.add(op{kind: opWrite, stream: id, cols: b.AppendColumns(room)})
}

// Seal advances the upper of a stream. Of several seals of one stream the greatest upper
// counts.
func (c *Command) Seal(id StreamID, upper frontier.Antichain) {
	c.add(op{kind: opSeal, stream: id, frontier: upper})
}

// AllowCompaction advances the since of a stream. Of several for one stream the greatest
// since counts.
func (c *Command) AllowCompaction(id StreamID, since frontier.Antichain) {
	c.add(op{kind: opAllowCompaction, stream: id, frontier: since})
}

// ExpectUpper sets a condition: the upper of the stream must be this one when the turn of
// the command comes. Otherwise the whole command fails with ErrUpperMismatch.
func (c *Command) ExpectUpper(id StreamID, upper frontier.Antichain) {
	c.expected = append(c.expected, expectedUpper{stream: id, upper: upper})
}

// ExpectUpperOf is ExpectUpper for a stream that may not exist. A stream that was never
// registered, or that was destroyed, counts as one with the upper {0}. So a caller that has
// found no stream can make sure that this still holds when the turn of the command comes.
func (c *Command) ExpectUpperOf(name string, upper frontier.Antichain) {
	c.expected = append(c.expected, expectedUpper{name: name, upper: upper})
}

// Follow makes the command fail with ErrPrevious if the command previous fails, for any
// reason. previous must have been submitted to the same engine; nil stands for no command.
//
// An expected upper is not enough for a row of commands that are under way at once. If one
// of them fails, another writer may bring the upper to the expected value, and a later
// command would then continue the work of that writer.
func (c *Command) Follow(previous *Command) {
	if previous != nil {
		c.after = &previous.request
	}
}

// normalise orders the operations by kind, and joins several frontiers for one stream into
// the greatest.
func (c *Command) normalise() {
	if len(c.ops) < 2 {
		return
	}
	slices.SortStableFunc(c.ops, func(a, b op) int { return cmp.Compare(a.kind, b.kind) })
	var places map[frontierOf]int // in kept; nil if there are few
	//museum:operations-squared
	if len(c.ops) > fewOps {
		places = make(map[frontierOf]int, len(c.ops))
	}
	kept := c.ops[:0]
	for _, o := range c.ops {
		if o.kind == opSeal || o.kind == opAllowCompaction {
			i := -1
			if of := (frontierOf{o.kind, o.stream}); places == nil {
				i = slices.IndexFunc(kept, func(k op) bool { return k.kind == o.kind && k.stream == o.stream })
			} else if place, ok := places[of]; ok {
				i = place
			} else {
				places[of] = len(kept)
			}
			if i >= 0 {
				kept[i].frontier = kept[i].frontier.Join(o.frontier)
				continue
			}
		}
		kept = append(kept, o)
	}
	clear(c.ops[len(kept):])
	c.ops = kept
}

// fewOps is the number of operations up to which a search is faster than a map.
const fewOps = 16

// frontierOf names one frontier of a command: at most one operation sets it.
type frontierOf struct {
	kind   opKind
	stream StreamID
}

// entryVersion is the first byte of every log entry.
const entryVersion = 1

// The room around the updates of Command.WriteFrom, in bytes. The beginning of a log entry
// fits before them, unless numbers are very large. A seal or an allowed compaction fits
// behind them.
const (
	roomBefore = 32
	roomAfter  = 24
)

// encode returns the log entry of the command. The columns of the command refer to the
// entry after that, so that the encoded updates exist once in memory.
//
// REQUIRES: the operations are in order.
func (c *Command) encode() []byte {
	// More operations would make the room grow, that is, move; the columns would keep the
	// old one.
	if c.room != nil && (len(c.ops) == 1 || len(c.ops) == 2 && c.ops[1].kind != opWrite) {
		if dst, ok := c.ops[0].encodeInPlace(c.room, len(c.ops)); ok {
			return appendOps(dst, c.ops[1:])
		}
	}
	return encodeEntry(c.ops)
}

// encodeEntry returns a log entry. The columns of ops refer to it after that.
func encodeEntry(ops []op) []byte {
	size := 2 + binary.MaxVarintLen64
	for i := range ops {
		size += 2 + 4*binary.MaxVarintLen64 + ops[i].cols.Size()
		if r := ops[i].registration; r != nil {
			size += len(r.name) + len(r.keyCodec) + len(r.valCodec) + 2*binary.MaxVarintLen64
		}
	}
	dst := append(make([]byte, 0, size), entryVersion)
	return appendOps(binary.AppendUvarint(dst, uint64(len(ops))), ops)
}

// encodeInPlace writes the beginning of an entry of n operations, of which o is the first,
// into the room before its updates. It returns false if the beginning does not fit.
func (o *op) encodeInPlace(room []byte, n int) ([]byte, bool) {
	var begin [roomBefore]byte
	b := binary.AppendUvarint(append(begin[:0], entryVersion), uint64(n))
	b = binary.AppendUvarint(append(b, byte(o.kind)), uint64(o.stream))
	b = o.cols.AppendCounts(b)
	if len(b) > roomBefore {
		return nil, false
	}
	copy(room[roomBefore-len(b):], b)
	return room[roomBefore-len(b) : roomBefore+o.cols.Size() : cap(room)], true
}

func appendOps(dst []byte, ops []op) []byte {
	for i := range ops {
		o := &ops[i]
		dst = append(dst, byte(o.kind))
		dst = binary.AppendUvarint(dst, uint64(o.stream))
		switch o.kind {
		case opRegister:
			dst = wire.AppendString(dst, o.name)
			dst = wire.AppendString(dst, o.keyCodec)
			dst = wire.AppendString(dst, o.valCodec)
		case opWrite:
			dst = o.cols.MoveTo(o.cols.AppendCounts(dst))
		case opSeal, opAllowCompaction:
			dst = wire.AppendFrontier(dst, o.frontier)
		}
	}
	return dst
}

// decodeEntry reads a log entry. The columns of the operations refer to data.
func decodeEntry(data []byte) ([]op, error) {
	r := wire.NewReader(data, 0)
	switch v := r.Byte(); {
	//museum:newer-taken-for-damaged
	case v > entryVersion:
		return nil, wire.NewerFormat("log entry", int(v), entryVersion)
	case r.Err() == nil && v < entryVersion:
		return nil, fmt.Errorf("log entry of version %d, which never was", v)
	}
	n := r.Count(2)
	if r.Err() == nil && n == 0 {
		return nil, errors.New("log entry without operations")
	}
	ops := make([]op, 0, min(n, 64))
	for range n {
		o := op{kind: opKind(r.Byte()), stream: StreamID(r.Uvarint())}
		switch o.kind {
		case opRegister:
			o.registration = &registration{r.Text(), r.Text(), r.Text()}
		case opDestroy:
		case opWrite:
			o.cols = part.DecodeColumns(r)
		case opSeal, opAllowCompaction:
			o.frontier = r.Frontier()
		default:
			r.Fail(fmt.Errorf("operation of kind %d", o.kind))
		}
		if r.Err() != nil {
			return nil, r.Err()
		}
		ops = append(ops, o)
	}
	return ops, r.End()
}

func unreadableEntry(seqno storage.SeqNo, err error) error {
	return wire.Unreadable("log", fmt.Errorf("entry %s: %w", seqno, err))
}
