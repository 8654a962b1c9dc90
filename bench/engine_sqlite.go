package main

import (
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/earshot-go/earshot/backend/sqlite"
	earbus "github.com/earshot-go/earshot/bus"
	cloud "github.com/earshot-go/earshot/event"
)

// A sqliteStation is a folder. Each stream has a file of its own, so that none waits for another one's lock.
type sqliteStation struct{ dir string }

func openSQLite() (station, error) {
	dir, err := os.MkdirTemp("", "earshot-bench")
	return sqliteStation{dir}, err
}

func (s sqliteStation) file(stream string) string { return filepath.Join(s.dir, stream+".db") }

func (s sqliteStation) bus(stream string) (earbus.Bus, error) {
	return sqlite.OpenBus("sqlite:"+filepath.ToSlash(s.file(stream)), nil)
}

func (s sqliteStation) close() error { return os.RemoveAll(s.dir) }

// A sqliteClient is a careful program with database/sql: every commit is on the disk, and the table has the index that
// finds copies, as the emitter's has. SQLite wakes nobody, so the consumer, who is in the same process, is woken over
// a channel.
type sqliteClient struct {
	db, read *sql.DB
	insert   *sql.Stmt
	bell     chan struct{}
	ended    chan struct{} // nil until somebody listens
}

func (s sqliteStation) client(stream string) (client, error) {
	query := url.Values{"_pragma": {"journal_mode(wal)", "synchronous(full)", "busy_timeout(1000)"}}
	dsn := "file:" + filepath.ToSlash(s.file(stream)) + "?" + query.Encode()
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	c := &sqliteClient{db: db, bell: make(chan struct{}, 1)}
	_, err = db.Exec(`CREATE TABLE events (
		seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL,
		id TEXT NOT NULL, source TEXT NOT NULL, event TEXT NOT NULL, UNIQUE (id, source))`)
	if err == nil {
		c.insert, err = db.Prepare("INSERT INTO events (at, id, source, event) VALUES (?, ?, ?, ?)")
	}
	if err == nil {
		c.read, err = sql.Open("sqlite", dsn)
	}
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (c *sqliteClient) row(text []byte) []any {
	return []any{time.Now().UnixMicro(), cloud.NewID(), saleSource, string(text)}
}

func (c *sqliteClient) publish(texts [][]byte) error {
	for len(texts) > 0 {
		n := min(1000, len(texts))
		tx, err := c.db.Begin()
		if err != nil {
			return err
		}
		stmt := tx.Stmt(c.insert)
		for _, text := range texts[:n] {
			if _, err := stmt.Exec(c.row(text)...); err != nil {
				return errors.Join(err, tx.Rollback())
			}
		}
		if err := tx.Commit(); err != nil {
			return err
		}
		texts = texts[n:]
	}
	return nil
}

func (c *sqliteClient) send(text []byte) error {
	_, err := c.insert.Exec(c.row(text)...)
	select {
	case c.bell <- struct{}{}:
	default:
	}
	return err
}

func (c *sqliteClient) listen(heard func(int64, []byte)) error {
	next, err := c.read.Prepare("SELECT seq, event FROM events WHERE seq > ? ORDER BY seq LIMIT 100")
	if err != nil {
		return err
	}
	c.ended = make(chan struct{})
	go func() { // until close
		defer close(c.ended)
		defer next.Close()
		last := int64(0)
		for range c.bell {
			rows, err := next.Query(last)
			must(err)
			for rows.Next() {
				var event []byte
				must(rows.Scan(&last, &event))
				heard(nanos(), event)
			}
			must(rows.Err())
		}
	}()
	return nil
}

func (c *sqliteClient) close() error {
	close(c.bell)
	if c.ended != nil {
		<-c.ended
	}
	var err error
	if c.insert != nil {
		err = c.insert.Close()
	}
	if c.read != nil {
		err = errors.Join(err, c.read.Close())
	}
	return errors.Join(err, c.db.Close())
}
