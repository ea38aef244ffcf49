package main

import (
	"fmt"
	"slices"
)

// store keeps records durably: when put and putAll return, their records are on the device.
type store interface {
	// put may be called by several goroutines at once.
	put(r *record) error
	// putAll makes the records durable together. It may be called by several goroutines at
	// once.
	putAll(rs []record) error
	// scan reads everything there is.
	scan(visit func(key, val []byte)) error
	// settle returns when no background work is left.
	settle() error
	close() error
}

// pipeliner is a store that takes records before it has made earlier ones durable.
type pipeliner interface {
	// putAsync returns before the record is durable; wait returns when it is.
	putAsync(r *record) (wait func() error, err error)
}

// listenable is a store that delivers what is written to it.
type listenable interface {
	// listen calls receive with each record that is written after listen has returned,
	// until the returned function is called.
	listen(receive func(val []byte)) (stop func(), err error)
}

// keyed is a store that is read by keys. All reads are of what it had when it was opened.
type keyed interface {
	// get visits the value of a key, if it has one.
	get(key []byte, visit func(val []byte)) error
	// lookup visits the records of keys, which are ascending.
	lookup(keys [][]byte, visit func(key, val []byte)) error
	// readFrom visits n records in the order of their keys. The first is that of a key, or
	// the next one.
	readFrom(key []byte, n int, visit func(key, val []byte)) error
	close() error
}

// system is one of the compared systems.
type system struct {
	name string
	// how says how the system is configured, and on whose advice.
	how  string
	open func(dir string) (store, error)
	// openKeyed opens what the system has stored for reads by keys. It may keep so many bytes
	// of what it has read. It is nil if no work reads the system by keys.
	openKeyed func(dir string, cache int64) (keyed, error)
}

var systems = []system{
	{
		name: "tidemark",
		how:  "defaults; codec.Bytes for keys and values",
		open: openTidemark, openKeyed: openView,
	},
	{
		name: "tidemark-typed",
		how:  "the same with codec.Uint64 and codec.String: keys are the first half",
		open: openTyped,
	},
	{
		name: "tidemark-raw",
		how:  "the same as tidemark, read by Snapshot.Raw: rows as they are stored, valid until the next one, which is what Pebble's iterator gives",
		open: openStored,
	},
	{
		name: "raw",
		how:  "a file that grows; one write and one fdatasync for all records that wait",
		open: func(dir string) (store, error) { return openRaw(dir, false) },
	},
	{
		name: "raw-filled",
		how:  "the same over a file that was filled with zeros before, which makes a flush cheaper",
		open: func(dir string) (store, error) { return openRaw(dir, true) },
	},
	{
		name: "pebble",
		how:  "v2, Sync; the options of its own benchmark (pebble bench), cache 64 MiB; read by keys: with filters at all levels, compacted to one level, by Get",
		open: openPebble, openKeyed: openPebbleGets,
	},
	{
		name: "pebble-iterator",
		how:  "the same, read by SeekPrefixGE of one iterator that uses the filters of the last level (UseL6Filters); Get never uses these",
		open: openPebble, openKeyed: openPebbleSeeks,
	},
	{
		name: "badger",
		how:  "v4, SyncWrites, otherwise its defaults; single records in transactions, many in one WriteBatch",
		open: openBadger,
	},
	{
		name: "bbolt",
		how:  "defaults; single records by Batch, which its documentation advises for concurrent writers, many by Update",
		open: openBolt,
	},
	{
		name: "wal",
		how:  "tidwall/wal, defaults (it flushes each write); one writer at a time, many records by WriteBatch",
		open: openWAL,
	},
	{
		name: "jetstream",
		how:  "embedded server, file storage, SyncAlways; one message a record, or a thousand records in one message",
		open: openJetStream,
	},
}

func systemNamed(name string) (system, error) {
	i := slices.IndexFunc(systems, func(s system) bool { return s.name == name })
	if i < 0 {
		return system{}, fmt.Errorf("no system is called %q", name)
	}
	return systems[i], nil
}
