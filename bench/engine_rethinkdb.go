package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	rethink "gopkg.in/rethinkdb/rethinkdb-go.v6"

	"github.com/earshot-go/earshot/backend/rethinkdb"
	earbus "github.com/earshot-go/earshot/bus"
	cloud "github.com/earshot-go/earshot/event"
)

type rethinkStation struct {
	own    *child // nil: somebody else's
	server *url.URL
	db     string
}

func openRethinkDB() (station, error) {
	address, own, err := serverOf("RETHINKDB", "rethinkdb")
	if err != nil {
		return nil, err
	}
	s := &rethinkStation{own: own, db: fmt.Sprintf("earshot_bench_%d", os.Getpid())}
	if s.server, err = url.Parse(address); err != nil {
		return nil, errors.New("EARSHOT_RETHINKDB_URL is no URL")
	}
	return s, nil
}

func (s *rethinkStation) bus(stream string) (earbus.Bus, error) {
	return rethinkdb.OpenBus(s.server.String()+"/"+s.db+"/"+stream, nil)
}

func (s *rethinkStation) connect() (*rethink.Session, error) {
	o := rethink.ConnectOpts{Address: s.server.Host, Username: s.server.User.Username(), Timeout: 5 * time.Second}
	o.Password, _ = s.server.User.Password()
	if s.server.Port() == "" {
		o.Address += ":28015"
	}
	return rethink.Connect(o)
}

func (s *rethinkStation) close() error {
	if s.own != nil {
		return s.own.close()
	}
	c, err := s.connect()
	if err == nil {
		err = errors.Join(rethink.DBDrop(s.db).Exec(c), c.Close())
	}
	return err
}

type rethinkClient struct {
	session, feed *rethink.Session
	table         rethink.Term
	stop          context.CancelFunc // of the feed; nil until somebody listens
	ended         chan struct{}
	n             int
}

func (s *rethinkStation) client(stream string) (client, error) {
	session, err := s.connect()
	if err != nil {
		return nil, err
	}
	c := &rethinkClient{session: session, table: rethink.DB(s.db).Table(stream)}
	if c.feed, err = s.connect(); err == nil {
		if err = rethink.DBCreate(s.db).Exec(session); err == nil || strings.Contains(err.Error(), "already exists") {
			err = rethink.DB(s.db).TableCreate(stream).Exec(session)
		}
	}
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// docs are events as documents with the members that the emitter's have.
func (c *rethinkClient) docs(texts [][]byte) []any {
	docs := make([]any, len(texts))
	for i, text := range texts {
		c.n++
		docs[i] = map[string]any{
			"id": cloud.NewID(), "ts": rethink.Now(), "n": c.n, "type": saleName, "source": saleSource,
			"time": time.Now().UTC().Format(time.RFC3339Nano), "event": string(text),
		}
	}
	return docs
}

func (c *rethinkClient) publish(texts [][]byte) error {
	for len(texts) > 0 {
		n := min(512, len(texts))
		if err := c.insert(texts[:n]); err != nil {
			return err
		}
		texts = texts[n:]
	}
	return nil
}

func (c *rethinkClient) insert(texts [][]byte) error {
	got, err := c.table.Insert(c.docs(texts), rethink.InsertOpts{Durability: "hard"}).RunWrite(c.session)
	if err == nil && got.Inserted != len(texts) {
		err = fmt.Errorf("rethinkdb: %d of %d documents were inserted: %s", got.Inserted, len(texts), got.FirstError)
	}
	return err
}

func (c *rethinkClient) send(text []byte) error { return c.insert([][]byte{text}) }

func (c *rethinkClient) listen(heard func(int64, []byte)) error {
	open, stop := context.WithCancel(ctx)
	c.stop, c.ended = stop, make(chan struct{})
	changes, err := c.table.Changes(rethink.ChangesOpts{Squash: false}).Run(c.feed, rethink.RunOpts{Context: open})
	if err != nil {
		close(c.ended)
		return err
	}
	go func() { // until close; to close the cursor could wait for ever
		defer close(c.ended)
		for {
			var change struct {
				New struct {
					Event string `rethinkdb:"event"`
				} `rethinkdb:"new_val"`
			}
			if !changes.Next(&change) {
				return
			}
			heard(nanos(), []byte(change.New.Event))
		}
	}()
	return nil
}

func (c *rethinkClient) close() error {
	if c.stop != nil {
		c.stop()
		<-c.ended
	}
	err := c.session.Close()
	if c.feed != nil {
		err = errors.Join(err, c.feed.Close())
	}
	return err
}
