package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot-go/earshot/backend/nats"
	earbus "github.com/earshot-go/earshot/bus"
	cloud "github.com/earshot-go/earshot/event"
)

const natsChild = "EARSHOT_BENCH_NATS" // "port dir": this process is the server

// The server is this program once more, so that its work and its garbage are not ours.
func init() {
	if config := os.Getenv(natsChild); config != "" {
		must(serveNATS(config))
		os.Exit(0)
	}
}

// serveNATS runs a server with its streams in files until the standard input ends.
func serveNATS(config string) error {
	o := &server.Options{Host: "127.0.0.1", JetStream: true, NoLog: true, NoSigs: true}
	if _, err := fmt.Sscanf(config, "%d %s", &o.Port, &o.StoreDir); err != nil {
		return err
	}
	s, err := server.NewServer(o)
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		return fmt.Errorf("nats: the server did not come up within 10 s")
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

type natsStation struct {
	*child
	ids bool // the client sends IDs too, as the emitter does, by which the server recognises copies
}

func openNATS() (station, error) { return startNATS(false) }

func openNATSWithIDs() (station, error) { return startNATS(true) }

func startNATS(ids bool) (station, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c, err := newChild(func(port, dir string) *exec.Cmd {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), natsChild+"="+port+" "+dir)
		return cmd
	})
	if err != nil {
		return nil, err
	}
	return natsStation{c, ids}, nil
}

func (s natsStation) bus(stream string) (earbus.Bus, error) {
	return nats.OpenBus("nats://"+s.addr, &nats.BusOptions{Stream: stream})
}

type natsClient struct {
	conn    *natsgo.Conn
	ids     bool
	js      jetstream.JetStream
	stream  jetstream.Stream
	subject string
	heard   jetstream.ConsumeContext // nil until somebody listens
}

func (s natsStation) client(stream string) (client, error) {
	conn, err := natsgo.Connect("nats://" + s.addr)
	if err != nil {
		return nil, err
	}
	c := &natsClient{conn: conn, ids: s.ids, subject: stream + "." + saleName}
	c.js, err = jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(4096))
	if err == nil {
		c.stream, err = c.js.CreateStream(ctx, jetstream.StreamConfig{
			Name: stream, Subjects: []string{stream + ".>"}, Storage: jetstream.FileStorage, AllowDirect: true,
		})
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

func (c *natsClient) message(text []byte) *natsgo.Msg {
	m := &natsgo.Msg{Subject: c.subject, Data: text}
	if c.ids {
		m.Header = natsgo.Header{natsgo.MsgIdHdr: {saleSource + " " + cloud.NewID()}}
	}
	return m
}

func (c *natsClient) publish(texts [][]byte) error {
	acks := make([]jetstream.PubAckFuture, len(texts))
	for i, text := range texts {
		var err error
		if acks[i], err = c.js.PublishMsgAsync(c.message(text)); err != nil {
			return err
		}
	}
	<-c.js.PublishAsyncComplete()
	for _, f := range acks {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			return err
		}
	}
	return nil
}

func (c *natsClient) send(text []byte) error {
	_, err := c.js.PublishMsg(ctx, c.message(text))
	return err
}

func (c *natsClient) listen(heard func(int64, []byte)) error {
	consumer, err := c.stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err == nil {
		c.heard, err = consumer.Consume(func(m jetstream.Msg) { heard(nanos(), m.Data()) })
	}
	return err
}

func (c *natsClient) close() error {
	if c.heard != nil {
		c.heard.Stop()
	}
	c.conn.Close()
	return nil
}
