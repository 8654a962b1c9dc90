package main

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/membus"
	"github.com/earshot-go/earshot/emitter"
	"github.com/earshot-go/earshot/internal/program"
)

// flags are those of a process on an engine.
func (e *engine) flags(role string, more ...string) []string {
	return append([]string{"-role", role, "-bus", e.url.String(), "-listen", "127.0.0.1:0"}, more...)
}

func newMailbox(t *testing.T) mailbox { return mailbox(filepath.Join(t.TempDir(), "mail")) }

func (e *engine) ordered() bool { return e.name != "couchdb" && e.name != "rethinkdb" }

// sent waits until the engine has accepted n events of a server, as its page says.
func (s site) sent(t *testing.T, n int) {
	t.Helper()
	program.Until(t, "the engine has accepted what was emitted", func() bool {
		e := s.engine(t)
		return e["published"] == float64(n) && e["buffered"] == float64(0)
	})
}

// engine is the row of the server's panel.
func (s site) engine(t *testing.T) map[string]any {
	t.Helper()
	status, body := s.Do(t, http.MethodGet, "/debug/earshot/emitters.json")
	require.Equal(t, http.StatusOK, status, body)
	var page struct{ Engines []map[string]any }
	require.NoError(t, json.Unmarshal([]byte(body), &page), body)
	require.Len(t, page.Engines, 1, body)
	return page.Engines[0]
}

func TestOneProcess(t *testing.T) {
	mail := newMailbox(t)
	p := program.Start(t, "-listen", "127.0.0.1:0", "-mail", string(mail))
	mail.has(t, true, visit(t, p).create(t, "ann", 20)...)
	require.Zero(t, p.Stop(t))
}

// Both roles in one process over an engine: its own events come back to it, once.
func TestOneProcessOverEngine(t *testing.T) {
	onEvery(t, func(t *testing.T, on *engine) {
		mail := newMailbox(t)
		p := program.Start(t, on.flags("both", "-mail", string(mail))...)
		p.Saying(t, `mailing new users`)
		mail.has(t, on.ordered(), visit(t, p).create(t, "ann", 20)...)
		require.Zero(t, p.Stop(t))
		require.Len(t, mail.users(t), 20, "and none at the end")
	})
}

func TestTwoProcesses(t *testing.T) {
	onEvery(t, func(t *testing.T, on *engine) {
		mail := newMailbox(t)
		server := program.Start(t, on.flags("server")...)
		m := program.Start(t, on.flags("mailer", "-mail", string(mail))...)
		m.Saying(t, `mailing new users`)
		site := visit(t, server)
		all := site.create(t, "ann", 20)
		mail.has(t, on.ordered(), all...)

		// A mailer that is killed, and users who come while there is none.
		m.Kill()
		site.create(t, "bob", 20)
		site.sent(t, 40)

		// The next one hears what comes from then on, and nothing twice.
		m = program.Start(t, on.flags("mailer", "-mail", string(mail))...)
		m.Saying(t, `mailing new users`)
		all = append(all, site.create(t, "cay", 20)...)
		mail.has(t, on.ordered(), all...)
		require.Zero(t, m.Stop(t))
		require.Zero(t, server.Stop(t))
		require.Len(t, mail.users(t), 40, "and none at the end")
	})
}

// With a bookmark, who comes while there is no mailer is mailed by the next.
func TestResume(t *testing.T) {
	onEvery(t, func(t *testing.T, on *engine) {
		mail, bookmark := newMailbox(t), filepath.Join(t.TempDir(), "bookmark")
		mailer := func() *program.Program {
			p := program.Start(t, on.flags("mailer", "-mail", string(mail), "-resume", bookmark)...)
			p.Saying(t, `mailing new users`)
			return p
		}
		server := program.Start(t, on.flags("server")...)
		site := visit(t, server)
		want := map[string]bool{}
		create := func(prefix string) {
			for _, name := range site.create(t, prefix, 20) {
				want[name] = true
			}
		}
		everyone := func() bool {
			have := map[string]bool{}
			for _, name := range mail.users(t) {
				have[name] = true
			}
			return len(have) == len(want)
		}

		create("ann") // before there is any mailer
		site.sent(t, 20)
		m := mailer()
		program.Until(t, "those who were before the mailer", everyone)
		require.Zero(t, m.Stop(t)) // after the bookmark has been moved
		before := len(mail.users(t))

		create("bob")
		site.sent(t, 40)
		m = mailer()
		program.Until(t, "those who came after one that was stopped", everyone)
		m.Kill()

		create("cay")
		site.sent(t, 60)
		m = mailer()
		program.Until(t, "those who came after one that was killed", everyone)
		require.Zero(t, m.Stop(t))
		require.Zero(t, server.Stop(t))

		mails := len(mail.users(t))
		t.Logf("60 users, %d mails, %d of them before the first stop", mails, before)
		if on.ordered() {
			require.LessOrEqual(t, mails, 61, "a mailer that is killed between mail and bookmark mails one user twice")
		}
	})
}

// What is emitted before the engine is there waits until it is.
func TestEngineComesLater(t *testing.T) {
	onEvery(t, func(t *testing.T, on *engine) {
		on.leave(t)
		mail := newMailbox(t)
		server := program.Start(t, on.flags("server")...)
		m := program.Start(t, on.flags("mailer", "-mail", string(mail))...)
		// Said by report, or by the emitter's logger if that was faster than report.
		server.Saying(t, `error.*no connection to the engine`)
		m.Saying(t, `error.*no connection to the engine`)
		site := visit(t, server)
		first := site.create(t, "ann", 20)
		row := site.engine(t)
		require.Equal(t, false, row["up"], row)
		require.Equal(t, float64(20), row["buffered"], row)

		// The mailer is the first to find the engine, or broadcasts to nobody come too early for it.
		server.Signal(t, syscall.SIGSTOP)
		on.comeBack(t)
		m.Saying(t, `mailing new users`)
		server.Signal(t, syscall.SIGCONT)
		server.Saying(t, `newuser: connect$`)
		mail.has(t, on.ordered(), append(first, site.create(t, "bob", 20)...)...)
		require.Zero(t, m.Stop(t))
		require.Zero(t, server.Stop(t))
	})
}

// An engine that goes and comes back takes nothing with it.
func TestEngineGoesAndComesBack(t *testing.T) {
	onEvery(t, func(t *testing.T, on *engine) {
		if on.wire == nil {
			return // a file has no wire that can be cut
		}
		mail := newMailbox(t)
		server := program.Start(t, on.flags("server")...)
		m := program.Start(t, on.flags("mailer", "-mail", string(mail))...)
		m.Saying(t, `mailing new users`)
		server.Saying(t, `newuser: connect$`)
		site := visit(t, server)
		all := site.create(t, "ann", 20)
		on.leave(t)
		all = append(all, site.create(t, "bob", 20)...)
		server.Saying(t, `disconnect: .*no connection to the engine`)
		on.comeBack(t)
		server.Saying(t, `reconnect after `)
		all = append(all, site.create(t, "cay", 20)...)
		mail.has(t, on.ordered(), all...)
		require.Zero(t, m.Stop(t))
		require.Zero(t, server.Stop(t))
		require.Len(t, mail.users(t), 60, "and none at the end")
	})
}

// A server that is stopped while the engine is away says what it could not send.
func TestStopWithoutEngine(t *testing.T) {
	p := program.Start(t, "-role", "server", "-listen", "127.0.0.1:0", "-grace", "100ms", "-bus", "redis://"+freeAddress(t))
	visit(t, p).create(t, "ann", 3)
	require.Equal(t, 1, p.Stop(t))
	p.Saying(t, `^newuser: emitter: closed with 3 events not sent, the oldest "new-user": .*deadline exceeded.*no connection to the engine`)
}

// What is left when a server is stopped is sent if the engine comes back in time.
func TestStopBeforeEngineComesBack(t *testing.T) {
	on := onNATS(t)
	on.overWire(t)
	on.leave(t)
	p := program.Start(t, on.flags("server", "-grace", program.Bound.String())...)
	visit(t, p).create(t, "ann", 3)
	p.Signal(t, syscall.SIGTERM)
	p.Saying(t, `stopping`)
	on.comeBack(t)
	require.Zero(t, p.Status(t))
	e := open(t, on.url.String(), emitter.Options{})
	n := 0
	for _, err := range e.Timeline(within(t), bus.Start) {
		require.NoError(t, err)
		n++
	}
	require.Equal(t, 3, n)
}

// A user whose event does not fit into the buffer was not created, and whoever asked is not kept waiting for ever.
func TestFullBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := membus.New(nil)
		b.Fail(bus.ErrDisconnected)
		e := emitter.New(&emitter.Options{Server: earshot.NewServer(nil), Bus: b, Buffer: 1, Logger: slog.New(slog.DiscardHandler)})
		h := newUserServer(e).handler()
		create := func(name string) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/users/"+name+"/new", nil))
			return w
		}
		require.Equal(t, http.StatusCreated, create("ann").Code)
		began := time.Now()
		w := create("bob")
		require.Equal(t, http.StatusServiceUnavailable, w.Code, w.Body)
		require.Equal(t, "5", w.Header().Get("Retry-After"))
		require.Equal(t, patience, time.Since(began))

		b.Fail(nil)
		require.Equal(t, http.StatusCreated, create("bob").Code)
		require.NoError(t, e.Close(t.Context()))
		require.NoError(t, b.Close(t.Context()))
	})
}

func TestBadRequests(t *testing.T) {
	site := visit(t, program.Start(t, "-listen", "127.0.0.1:0"))
	for _, c := range []struct {
		method, path string
		want         int
		says         string
	}{
		{"POST", "/users/ann/new", http.StatusCreated, `{"name":"ann","email":"ann@example.com","created":"2`},
		{"POST", "/users/ann/new", http.StatusConflict, "there is a user of that name"},
		{"GET", "/users/bob/new", http.StatusMethodNotAllowed, ""},
		{"DELETE", "/users/bob/new", http.StatusMethodNotAllowed, ""},
		{"POST", "/users/Bob/new", http.StatusBadRequest, "a name is"},
		{"POST", "/users/a%2fb/new", http.StatusBadRequest, "a name is"},
		{"POST", "/users/a%0ab/new", http.StatusBadRequest, "a name is"},
		{"POST", "/users/%ff/new", http.StatusBadRequest, "a name is"},
		{"POST", "/users/" + strings.Repeat("a", 33) + "/new", http.StatusBadRequest, "a name is"},
		{"POST", "/users/" + strings.Repeat("a", 32) + "/new", http.StatusCreated, ""},
		{"POST", "/users//new", http.StatusTemporaryRedirect, ""}, // to /users/new, which is not there
		{"POST", "/users/bob", http.StatusNotFound, ""},
		{"GET", "/", http.StatusNotFound, ""},
	} {
		site.Client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		status, body := site.Do(t, c.method, c.path)
		require.Equal(t, c.want, status, "%s %s: %s", c.method, c.path, body)
		require.Contains(t, body, c.says, "%s %s", c.method, c.path)
	}
}

// Mistakes in the flags are one line and status 2; what goes wrong later is one line and status 1.
func TestMistakes(t *testing.T) {
	taken := program.Start(t, "-listen", "127.0.0.1:0")
	address := strings.TrimPrefix(visit(t, taken).URL, "http://")
	dir := t.TempDir()
	for _, c := range []struct {
		args string
		want int
		says string
	}{
		{"-role boss", 2, `-role "boss": it is server, mailer or both`},
		{"-rolle server", 2, "flag provided but not defined: -rolle"},
		{"server", 2, `"server" is no flag`},
		{"-role server", 2, "-role server needs a -bus that reaches other processes"},
		{"-role mailer -bus mem:", 2, "-role mailer needs a -bus that reaches other processes"},
		{"-resume " + dir + "/bookmark", 2, "-resume is for a mailer, and needs a -bus that keeps events"},
		{"-bus oracle://db", 2, `-bus: bus: open oracle://db: unknown scheme "oracle": this program knows couchdb,`},
		{"-bus nowhere", 2, `unknown scheme`},
		{"-bus redis://:s3cret@db/0?steam=shop", 2, "stream"},
		{"-grace soon", 2, "invalid value"},
		{"-listen " + address, 1, "-listen: listen tcp " + address + ": bind: address already in use"},
		{"-listen 127.0.0.1:0 -debug " + address, 1, "-debug: listen tcp " + address + ": bind: address already in use"},
		{"-mail " + dir, 1, "-mail: open " + dir + ": is a directory"},
		{"-bus sqlite:" + dir + "/x.db -resume " + dir, 1, "-resume: read " + dir + ": is a directory"},
	} {
		p := program.Start(t, strings.Fields(c.args)...)
		require.Equal(t, c.want, p.Status(t), "%s: %s", c.args, p.Said())
		said := p.Said()
		last := said[len(said)-1]
		require.Contains(t, last, c.says, c.args)
		require.True(t, strings.HasPrefix(last, "newuser: "), last)
		require.NotContains(t, strings.Join(said, "\n"), "s3cret")
		if c.want == 2 {
			require.Len(t, said, 1, c.args)
		}
	}
	p := program.Start(t, "-help")
	require.Zero(t, p.Status(t))
	require.Contains(t, strings.Join(p.Said(), "\n"), "-resume file")
}

// The page of a mailer is at an address of its own.
func TestDebugPage(t *testing.T) {
	on := onSQLite(t)
	m := program.Start(t, on.flags("mailer", "-debug", "127.0.0.1:0")...)
	url := m.Saying(t, `(http://[^/]+)/debug/earshot/ to look at`)[1]
	m.Saying(t, `mailing new users`)
	page := site{program.NewSite(t, url)}
	program.Until(t, "an engine that answers", func() bool { return page.engine(t)["up"] == true })
	status, body := page.Do(t, http.MethodGet, "/debug/earshot/emitters")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, "mailer.go:", "the line where the mailer listens")
	_, err := os.Stat(filepath.Join(on.dir, "events.db"))
	require.NoError(t, err)
	require.Zero(t, m.Stop(t))
}

// A browser that looks at the stream of events does not keep the program from ending.
func TestStopWithViewer(t *testing.T) {
	p := program.Start(t, "-listen", "127.0.0.1:0", "-grace", program.Bound.String())
	site := visit(t, p)
	resp, err := site.Client.Get(site.URL + "/debug/earshot/events?filter=chan:newuser")
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	began := time.Now()
	require.Zero(t, p.Stop(t))
	require.Less(t, time.Since(began), program.Bound/2)
}
