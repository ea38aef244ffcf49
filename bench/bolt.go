package main

import (
	"path/filepath"

	bolt "go.etcd.io/bbolt"
)

var bucketName = []byte("records")

type boltStore struct{ db *bolt.DB }

func openBolt(dir string) (store, error) {
	db, err := bolt.Open(filepath.Join(dir, "records"), 0o600, nil)
	if err != nil {
		return nil, err
	}
	if err := db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucketName)
		return err
	}); err != nil {
		_ = db.Close()
		return nil, err
	}
	return &boltStore{db}, nil
}

func (b *boltStore) put(r *record) error {
	return b.db.Batch(func(tx *bolt.Tx) error { return tx.Bucket(bucketName).Put(r.key[:], r.val[:]) })
}

func (b *boltStore) putAll(rs []record) error {
	return b.db.Update(func(tx *bolt.Tx) error {
		bucket := tx.Bucket(bucketName)
		for i := range rs {
			if err := bucket.Put(rs[i].key[:], rs[i].val[:]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *boltStore) scan(visit func(key, val []byte)) error {
	return b.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketName).ForEach(func(k, v []byte) error {
			visit(k, v)
			return nil
		})
	})
}

func (b *boltStore) settle() error { return nil }
func (b *boltStore) close() error  { return b.db.Close() }
