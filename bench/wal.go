package main

import (
	"path/filepath"
	"sync"

	"github.com/tidwall/wal"
)

// walStore is a log of records. It wants the index of each entry in order, so only one
// writer writes at a time.
type walStore struct {
	mu   sync.Mutex
	log  *wal.Log
	last uint64
}

func openWAL(dir string) (store, error) {
	log, err := wal.Open(filepath.Join(dir, "log"), nil)
	if err != nil {
		return nil, err
	}
	last, err := log.LastIndex()
	if err != nil {
		_ = log.Close()
		return nil, err
	}
	return &walStore{log: log, last: last}, nil
}

func (w *walStore) put(r *record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.log.Write(w.last+1, appendRaw(nil, r)[rawHeader:]); err != nil {
		return err
	}
	w.last++
	return nil
}

func (w *walStore) putAll(rs []record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b wal.Batch
	buf := make([]byte, 0, recordSize+rawHeader)
	for i := range rs {
		buf = appendRaw(buf[:0], &rs[i])
		b.Write(w.last+1+uint64(i), buf[rawHeader:])
	}
	if err := w.log.WriteBatch(&b); err != nil {
		return err
	}
	w.last += uint64(len(rs))
	return nil
}

func (w *walStore) scan(visit func(key, val []byte)) error {
	for i := uint64(1); i <= w.last; i++ {
		data, err := w.log.Read(i)
		if err != nil {
			return err
		}
		visit(data[:keySize], data[keySize:])
	}
	return nil
}

func (w *walStore) settle() error { return nil }
func (w *walStore) close() error  { return w.log.Close() }
