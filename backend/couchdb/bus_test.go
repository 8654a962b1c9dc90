package couchdb_test

import (
	"crypto/rand"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/backend/couchdb"
	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/bustest"
)

// These run against express-pouchdb in scripts/test, and against CouchDB itself where EARSHOT_COUCHDB_URL names one.

func TestBus(t *testing.T) { bustest.Run(t, stream) }

func TestFaults(t *testing.T) { bustest.Faults(t, stream) }

// A database is one that a test has for itself.
type database struct {
	server *url.URL
	path   string // /name
}

func newDatabase(t testing.TB) database {
	d := database{serverURL(t), "/earshot-" + strings.ToLower(rand.Text()[:12])}
	t.Cleanup(func() { call(t, d.server, "DELETE", d.path, nil) })
	return d
}

// url is that of a bus; via another address if there is one.
func (d database) url(via string) string {
	u := *d.server
	u.Path = d.path
	if via != "" {
		u.Host = via
	}
	return u.String()
}

// open opens a bus, which is closed at the end of the test.
func (d database) open(t testing.TB) *couchdb.Bus {
	t.Helper()
	b, err := couchdb.OpenBus(d.url(""), nil)
	require.NoError(t, err)
	t.Cleanup(func() { b.Close(t.Context()) })
	return b
}

func stream(t testing.TB) bustest.Stream {
	d := newDatabase(t)
	s := bustest.Stream{
		Server:   d.server.Host,
		Recreate: d.recreate,
		Trim:     d.trim,
		Break:    d.lock,
		Open: func(t testing.TB, via string) bus.Bus {
			b, err := bus.Open(d.url(via))
			if err != nil {
				t.Fatal(err)
			}
			return b
		},
		Deny: func(t testing.TB) bus.Bus {
			u := *d.server
			u.Path, u.User = d.path, url.UserPassword("nobody", "wr0ng-secret")
			b, err := bus.Open(u.String())
			if err != nil {
				t.Fatal(err)
			}
			return b
		},
	}
	if p := ownServer(t); p != nil {
		s.Restart = func(t testing.TB) {
			p.kill()
			if err := p.start(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return s
}

func (d database) recreate(t testing.TB) {
	must(t, d.server, "DELETE", d.path, nil)
	must(t, d.server, "PUT", d.path, nil)
}

// trim deletes documents as somebody does who cleans up: all but the newest.
func (d database) trim(t testing.TB, keep int) {
	var docs []any
	rows := must(t, d.server, "GET", d.path+"/_changes", nil)["results"].([]any)
	for _, r := range rows {
		r := r.(map[string]any)
		if r["deleted"] == nil && !strings.HasPrefix(r["id"].(string), "_design/") {
			rev := r["changes"].([]any)[0].(map[string]any)["rev"]
			docs = append(docs, map[string]any{"_id": r["id"], "_rev": rev, "_deleted": true})
		}
	}
	must(t, d.server, "POST", d.path+"/_bulk_docs", map[string]any{"docs": docs[:max(0, len(docs)-keep)]})
}

// lock has the database refuse every document but design documents.
func (d database) lock(t testing.TB) (mend func()) {
	const design = "/_design/lock"
	rev := must(t, d.server, "PUT", d.path+design, map[string]any{
		"validate_doc_update": `function (doc) { if (doc._id[0] !== "_") throw({forbidden: "the disk is full, say"}); }`,
	})["rev"].(string)
	return func() { must(t, d.server, "DELETE", d.path+design+"?rev="+rev, nil) }
}
