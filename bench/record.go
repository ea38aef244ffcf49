package main

import "encoding/binary"

const (
	keySize = 16
	valSize = 100
	// recordSize is what "user bytes" counts for each record.
	recordSize = keySize + valSize
)

// record is the unit of all work: a random key, and a value of which half compresses. All
// bytes of a value are ASCII, so that the value is a string as well.
type record struct {
	key [keySize]byte
	val [valSize]byte
}

// filler is the half of every value that compresses.
const filler = "tidemark benchmark: this half of each value is eve"

// fill makes r the record number i of the input. It is the same in every run.
func (r *record) fill(i uint64) {
	x := mix(i)
	binary.LittleEndian.PutUint64(r.key[:], x)
	binary.LittleEndian.PutUint64(r.key[8:], mix(x))
	for at := 0; at < valSize-len(filler); {
		x = mix(x + 1)
		for b := x; b > 0xff && at < valSize-len(filler); b >>= 8 {
			r.val[at] = 0x20 + byte(b&0xff)%95
			at++
		}
	}
	copy(r.val[valSize-len(filler):], filler)
}

// mix is the finalizer of splitmix64, a bijection of uint64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// records returns the records from..from+n of the input.
func records(from uint64, n int) []record {
	rs := make([]record, n)
	for i := range rs {
		rs[i].fill(from + uint64(i))
	}
	return rs
}

// digest tells whether everything was read. It is the same in any order of the records. It
// depends on the beginning of every key and on the end of every value.
type digest struct {
	n, sum uint64
}

func (d *digest) add(key, val []byte) {
	d.n++
	d.sum += mix(binary.LittleEndian.Uint64(key)) + uint64(val[0])<<8 + uint64(val[len(val)-1])
}

// digestOf is the digest of the first n records.
func digestOf(n uint64) (d digest) {
	var r record
	for i := range n {
		r.fill(i)
		d.add(r.key[:], r.val[:])
	}
	return d
}
