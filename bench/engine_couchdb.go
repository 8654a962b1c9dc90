package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/earshot-go/earshot/backend/couchdb"
	earbus "github.com/earshot-go/earshot/bus"
)

type couchStation struct {
	own    *child // nil: somebody else's
	server *url.URL
	prefix string
	made   []string
}

func openCouchDB() (station, error) {
	address, own, err := serverOf("COUCHDB", "couchdb")
	if err != nil {
		return nil, err
	}
	s := &couchStation{own: own, prefix: fmt.Sprintf("earshot-bench-%d-", os.Getpid())}
	if s.server, err = url.Parse(address); err != nil {
		return nil, errors.New("EARSHOT_COUCHDB_URL is no URL")
	}
	return s, nil
}

func (s *couchStation) bus(stream string) (earbus.Bus, error) {
	s.made = append(s.made, stream)
	return couchdb.OpenBus(s.server.String()+"/"+s.prefix+stream, nil)
}

func (s *couchStation) close() error {
	var errs []error
	if s.own != nil {
		return s.own.close()
	}
	for _, stream := range s.made {
		errs = append(errs, s.open(stream).call(http.MethodDelete, "", nil))
	}
	return errors.Join(errs...)
}

// A couchClient is net/http on one database. CouchDB has no library of its own for Go.
type couchClient struct {
	base  string
	http  *http.Client
	stop  context.CancelFunc // of the feed; nil until somebody listens
	ended chan struct{}
	n     int
}

func (s *couchStation) open(stream string) *couchClient {
	u := *s.server
	u.Scheme = strings.Replace(u.Scheme, "couchdb", "http", 1)
	u.Path += "/" + s.prefix + stream
	return &couchClient{base: u.String(), http: &http.Client{Transport: &http.Transport{DisableCompression: true}}}
}

func (s *couchStation) client(stream string) (client, error) {
	s.made = append(s.made, stream)
	c := s.open(stream)
	return c, c.call(http.MethodPut, "", nil)
}

func (c *couchClient) call(method, path string, body []byte) error {
	r, err := http.NewRequest(method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	got, err := c.http.Do(r)
	if err != nil {
		return err
	}
	defer got.Body.Close()
	answer, err := io.ReadAll(got.Body)
	if err == nil && (got.StatusCode >= 300 || bytes.Contains(answer, []byte(`"error":`))) {
		err = fmt.Errorf("couchdb: %s %s: %s, %.200q", method, path, got.Status, answer)
	}
	return err
}

// appendDoc appends an event as a document: the members that it has, and an _id. One that counts is stored faster than
// one that is random.
func (c *couchClient) appendDoc(to, text []byte) []byte {
	c.n++
	to = fmt.Appendf(to, `{"_id":"%032d",`, c.n)
	return append(to, text[1:]...)
}

func (c *couchClient) publish(texts [][]byte) error {
	for len(texts) > 0 {
		n := min(512, len(texts))
		body := []byte(`{"docs":[`)
		for i, text := range texts[:n] {
			if i > 0 {
				body = append(body, ',')
			}
			body = c.appendDoc(body, text)
		}
		if err := c.call(http.MethodPost, "/_bulk_docs", append(body, "]}"...)); err != nil {
			return err
		}
		texts = texts[n:]
	}
	return nil
}

func (c *couchClient) send(text []byte) error {
	c.n++
	return c.call(http.MethodPut, fmt.Sprintf("/%032d", c.n), text)
}

func (c *couchClient) listen(heard func(int64, []byte)) error {
	open, stop := context.WithCancel(ctx)
	c.stop, c.ended = stop, make(chan struct{})
	r, err := http.NewRequestWithContext(open, http.MethodGet, c.base+"/_changes?feed=continuous&include_docs=true&heartbeat=1000&since=0", nil)
	if err != nil {
		return err
	}
	got, err := c.http.Do(r)
	if err != nil {
		close(c.ended)
		return err
	}
	go func() { // until close
		defer close(c.ended)
		defer got.Body.Close()
		for lines := bufio.NewScanner(got.Body); lines.Scan(); {
			if line := lines.Bytes(); len(line) > 0 { // else it is a heartbeat
				heard(nanos(), line)
			}
		}
	}()
	return nil
}

func (c *couchClient) close() error {
	if c.stop != nil {
		c.stop()
		<-c.ended
	}
	c.http.CloseIdleConnections()
	return nil
}
