package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// raw is the least that durability can cost: one file, to which groups of records are
// appended, each by one write and one fdatasync. Writers that come while a group is on its
// way share the next group. There are no checksums, no index and no recovery.
type raw struct {
	f      *os.File
	filled bool
	off    int64

	mu      sync.Mutex
	next    *rawGroup
	writing bool
}

type rawGroup struct {
	buf  []byte
	done chan struct{}
	err  error
}

// rawFill is how many bytes of zeros are prepared at a time.
const rawFill = 64 << 20

func openRaw(dir string, filled bool) (store, error) {
	f, err := os.OpenFile(filepath.Join(dir, "records"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	r := &raw{f: f, filled: filled, next: newRawGroup(nil)}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	r.off = info.Size()
	if filled && r.off == 0 {
		if err := r.fill(0); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return r, nil
}

func (r *raw) fill(from int64) error {
	zeros := make([]byte, 1<<20)
	for off := from; off < from+rawFill; off += int64(len(zeros)) {
		if _, err := r.f.WriteAt(zeros, off); err != nil {
			return err
		}
	}
	return r.f.Sync()
}

func newRawGroup(buf []byte) *rawGroup {
	return &rawGroup{buf: buf[:0], done: make(chan struct{})}
}

// rawHeader is the size of the length in front of each record.
const rawHeader = 2

func appendRaw(buf []byte, r *record) []byte {
	buf = binary.LittleEndian.AppendUint16(buf, recordSize)
	buf = append(buf, r.key[:]...)
	return append(buf, r.val[:]...)
}

func (r *raw) put(rec *record) error {
	return r.commit(func(buf []byte) []byte { return appendRaw(buf, rec) })
}

func (r *raw) putAll(rs []record) error {
	return r.commit(func(buf []byte) []byte {
		for i := range rs {
			buf = appendRaw(buf, &rs[i])
		}
		return buf
	})
}

// commit adds to the next group, and waits until that group is durable. If no group is on
// its way, the caller writes the group itself.
func (r *raw) commit(add func([]byte) []byte) error {
	r.mu.Lock()
	g := r.next
	g.buf = add(g.buf)
	lead := !r.writing
	if lead {
		r.writing = true
		r.next = newRawGroup(nil)
	}
	r.mu.Unlock()
	if lead {
		r.finish(g)
	}
	<-g.done
	return g.err
}

// finish writes a group. If writers wait for the next group, a new goroutine writes that
// one.
func (r *raw) finish(g *rawGroup) {
	g.err = r.write(g.buf)
	close(g.done)
	r.mu.Lock()
	defer r.mu.Unlock()
	next := r.next
	if len(next.buf) == 0 {
		r.writing = false
		return
	}
	r.next = newRawGroup(g.buf)
	go r.finish(next)
}

func (r *raw) write(buf []byte) error {
	if r.filled && (r.off+int64(len(buf)))/rawFill != r.off/rawFill {
		if err := r.fill((r.off/rawFill + 1) * rawFill); err != nil {
			return err
		}
	}
	if _, err := r.f.WriteAt(buf, r.off); err != nil {
		return err
	}
	if err := unix.Fdatasync(int(r.f.Fd())); err != nil {
		return fmt.Errorf("fdatasync: %w", err)
	}
	r.off += int64(len(buf))
	return nil
}

func (r *raw) scan(visit func(key, val []byte)) error {
	in := bufio.NewReaderSize(io.NewSectionReader(r.f, 0, 1<<62), 1<<20)
	buf := make([]byte, rawHeader+recordSize)
	for {
		_, err := io.ReadFull(in, buf)
		if errors.Is(err, io.EOF) || err == nil && binary.LittleEndian.Uint16(buf) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		visit(buf[rawHeader:rawHeader+keySize], buf[rawHeader+keySize:])
	}
}

func (r *raw) settle() error { return nil }
func (r *raw) close() error  { return r.f.Close() }
