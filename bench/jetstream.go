package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// jetStore is a JetStream stream on a server in this process. It is reached over loopback,
// as any client would reach it.
type jetStore struct {
	server *server.Server
	conn   *nats.Conn
	js     jetstream.JetStream
	stream jetstream.Stream
}

const subject = "records"

func openJetStream(dir string) (store, error) {
	s, err := server.NewServer(&server.Options{
		ServerName: "bench", Host: "127.0.0.1", Port: server.RANDOM_PORT,
		JetStream: true, StoreDir: dir, SyncAlways: true, NoSigs: true, NoLog: true,
	})
	if err != nil {
		return nil, err
	}
	s.Start()
	j := &jetStore{server: s}
	if !s.ReadyForConnections(10 * time.Second) {
		return nil, errors.Join(errors.New("nats-server did not start"), j.close())
	}
	if err := j.connect(); err != nil {
		return nil, errors.Join(err, j.close())
	}
	return j, nil
}

func (j *jetStore) connect() (err error) {
	if j.conn, err = nats.Connect(j.server.ClientURL()); err != nil {
		return err
	}
	if j.js, err = jetstream.New(j.conn, jetstream.WithPublishAsyncMaxPending(4096)); err != nil {
		return err
	}
	j.stream, err = j.js.CreateOrUpdateStream(context.Background(), jetstream.StreamConfig{
		Name: "RECORDS", Subjects: []string{subject}, Storage: jetstream.FileStorage,
	})
	return err
}

func encodeMessage(rs []record) []byte {
	buf := make([]byte, 0, len(rs)*recordSize)
	for i := range rs {
		buf = append(append(buf, rs[i].key[:]...), rs[i].val[:]...)
	}
	return buf
}

func visitMessage(data []byte, visit func(key, val []byte)) {
	for ; len(data) >= recordSize; data = data[recordSize:] {
		visit(data[:keySize], data[keySize:recordSize])
	}
}

func (j *jetStore) put(r *record) error { return j.putAll([]record{*r}) }

func (j *jetStore) putAll(rs []record) error {
	_, err := j.js.Publish(context.Background(), subject, encodeMessage(rs))
	return err
}

func (j *jetStore) putAsync(r *record) (func() error, error) {
	f, err := j.js.PublishAsync(subject, encodeMessage([]record{*r}))
	if err != nil {
		return nil, err
	}
	return func() error {
		select {
		case <-f.Ok():
			return nil
		case err := <-f.Err():
			return err
		}
	}, nil
}

func (j *jetStore) scan(visit func(key, val []byte)) error {
	ctx := context.Background()
	info, err := j.stream.Info(ctx)
	if err != nil {
		return err
	}
	c, err := j.js.OrderedConsumer(ctx, "RECORDS", jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy})
	if err != nil {
		return err
	}
	messages, err := c.Messages(jetstream.PullMaxMessages(5000))
	if err != nil {
		return err
	}
	defer messages.Stop()
	for range info.State.Msgs {
		m, err := messages.Next()
		if err != nil {
			return err
		}
		visitMessage(m.Data(), visit)
	}
	return nil
}

func (j *jetStore) listen(receive func(val []byte)) (func(), error) {
	c, err := j.js.OrderedConsumer(context.Background(), "RECORDS", jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverNewPolicy})
	if err != nil {
		return nil, err
	}
	consume, err := c.Consume(func(m jetstream.Msg) {
		visitMessage(m.Data(), func(_, val []byte) { receive(val) })
	})
	if err != nil {
		return nil, fmt.Errorf("consume: %w", err)
	}
	return consume.Stop, nil
}

func (j *jetStore) settle() error { return nil }

func (j *jetStore) close() error {
	if j.conn != nil {
		j.conn.Close()
	}
	j.server.Shutdown()
	j.server.WaitForShutdown()
	return nil
}
