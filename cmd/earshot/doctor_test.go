package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// diagnose runs the doctor and returns its findings but those that all is well.
func diagnose(t *testing.T, w world, args ...string) (code int, found []finding) {
	t.Helper()
	r := w.run(t, append([]string{"doctor", "--json"}, args...)...)
	var answer struct {
		Status   string
		Findings []finding
	}
	require.NoError(t, json.Unmarshal([]byte(r.out), &answer), "%s %s", r.out, r.err)
	for _, f := range answer.Findings {
		if f.Level != "ok" {
			found = append(found, f)
		}
	}
	return r.code, found
}

// Each fault is found, by the check it is for and no other, with a fix.
func TestDoctorFindsPlantedFaults(t *testing.T) {
	subscriber := func(change ...string) string { return strings.NewReplacer(change...).Replace(fakeSubscribers) }
	faults := []struct {
		name  string
		check string
		level string
		says  string
		plant func(f *fake)
		env   map[string]string
	}{
		{name: "no page there", check: "connection", level: "bad", says: "there is no such page", plant: func(f *fake) { delete(f.pages, "channels.json") }},
		{name: "a proxy's requests are let in", check: "who is let in", level: "bad", says: "forwards", plant: func(f *fake) {
			f.override = drop("X-Forwarded-For")
		}},
		{name: "the token does not matter", check: "who is let in", level: "note", says: "without the token", plant: func(*fake) {}, env: map[string]string{"EARSHOT_TOKEN": "x"}},
		{name: "other origins", check: "other sites", level: "bad", says: "https://elsewhere.example", plant: func(f *fake) { f.override = drop("Origin") }},
		{name: "null origin", check: "other sites", level: "bad", says: "Origin: null", plant: func(f *fake) {
			f.override = func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Header.Get("Origin") == "null" {
					r.Header.Del("Origin")
				}
				return false
			}
		}},
		{name: "foreign host", check: "other sites", level: "bad", says: "a Host that is not of this machine", plant: func(f *fake) {
			f.override = func(_ http.ResponseWriter, r *http.Request) bool { r.Host = "127.0.0.1:1"; return false }
		}},
		{name: "policy taken away", check: "headers", level: "warn", says: "Content-Security-Policy", plant: func(f *fake) {
			f.override = func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Del("Content-Security-Policy")
				return false
			}
		}},
		{name: "nosniff taken away", check: "headers", level: "warn", says: "X-Content-Type-Options", plant: func(f *fake) {
			f.override = func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Del("X-Content-Type-Options")
				return false
			}
		}},
		{name: "clock", check: "clock", level: "warn", says: "the clocks here and there differ", plant: func(f *fake) {
			f.override = func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Date", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
				return false
			}
		}},
		{name: "old Go", check: "version", level: "warn", says: "go1.19.3", plant: func(f *fake) {
			f.pages["overview.json"] = strings.Replace(fakeOverview, "go1.26.8", "go1.19.3", 1)
		}},
		{name: "buffered stream", check: "streaming", level: "bad", says: "holds it back", plant: func(f *fake) {
			f.stream = func(_ http.ResponseWriter, r *http.Request, _ func()) { <-r.Context().Done() }
		}},
		{name: "write timeout", check: "streaming", level: "bad", says: "cut off", plant: func(f *fake) {
			f.stream = func(w http.ResponseWriter, r *http.Request, flush func()) {
				fmt.Fprint(w, "event: stats\ndata: {}\n\n")
				flush()
				wait(r, second/20)
				panic(http.ErrAbortHandler)
			}
		}},
		{name: "compressed stream", check: "streaming", level: "warn", says: "gzip", plant: func(f *fake) {
			f.stream = func(w http.ResponseWriter, _ *http.Request, _ func()) { w.Header().Set("Content-Encoding", "gzip") }
		}},
		{name: "cannot flush", check: "streaming", level: "bad", says: "501", plant: func(f *fake) {
			f.stream = func(w http.ResponseWriter, _ *http.Request, _ func()) { problem(w, 501, "cannot flush", "") }
		}},
		{name: "slow subscriber", check: "slow subscribers", level: "warn", says: "shop/staff.go:88", plant: func(f *fake) {
			f.pages["slow.json"] = `{"title":"Slow","status":"warn","summary":"1 slow.","slow":[{"channel":"orders.paid","subscriber":"fraud check","site":"shop/staff.go:88","running":2.5}]}`
		}},
		{name: "lost events", check: "lost events", level: "warn", says: "missed 1,000 events", plant: func(f *fake) {
			f.pages["subscribers.json"] = subscriber(`"offered":10,"received":10,"missed":0`, `"offered":1010,"received":10,"missed":1000`)
		}},
		{name: "no bound", check: "memory", level: "warn", says: "1,000,000 events wait", plant: func(f *fake) {
			f.pages["subscribers.json"] = subscriber(`"overflow":"drop-oldest","capacity":4096,"depth":7`, `"overflow":"unbounded","capacity":0,"depth":1000000`, `"offered":10,"received":3`, `"offered":1000003,"received":3`)
		}},
		{name: "wrong type", check: "types", level: "warn", says: "not of the type", plant: func(f *fake) {
			f.pages["subscribers.json"] = subscriber(`"mismatched":0`, `"mismatched":4`)
		}},
		{name: "events vanish", check: "accounts", level: "bad", says: "not what became of them", plant: func(f *fake) {
			f.pages["subscribers.json"] = subscriber(`"offered":10,"received":10`, `"offered":11,"received":10`)
		}},
		{name: "undeclared", check: "declarations", level: "note", says: "such as db.query", plant: func(f *fake) {
			f.pages["channels.json"] = strings.Replace(fakeChannels, `"doc":"","live":true,"declared":true`, `"doc":"","live":true,"declared":false`, 1)
		}},
	}
	require.GreaterOrEqual(t, len(faults), 12)
	for _, c := range faults {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // each waits for a stream
			f := newFake()
			c.plant(f)
			code, found := diagnose(t, world{url: serve(t, f), env: c.env})
			require.NotEmpty(t, found)
			for _, x := range found {
				assert.Equal(t, c.check, x.Check, x.Text)
				assert.Equal(t, c.level, x.Level)
				assert.NotEmpty(t, x.Fix)
			}
			assert.Contains(t, found[0].Text, c.says)
			want := exitOK
			if c.level == "bad" {
				want = exitFailed
			}
			assert.Equal(t, want, code)
		})
	}
}

// drop makes the fake blind to a header.
func drop(name string) func(http.ResponseWriter, *http.Request) bool {
	return func(_ http.ResponseWriter, r *http.Request) bool { r.Header.Del(name); return false }
}

func TestDoctorFindsNothing(t *testing.T) {
	r := world{url: serve(t, newFake())}.run(t, "doctor")
	assert.Equal(t, exitOK, r.code)
	assert.Empty(t, r.err)
	assert.Equal(t, len(checkups)+1, strings.Count(r.out, "\n"), "each check says something:\n%s", r.out)
	assert.Equal(t, len(checkups), strings.Count("\n"+r.out, "\nok   "))
	assert.Equal(t, "All is well.", lastLine(r.out))
}

func TestDoctorWithoutServer(t *testing.T) {
	r := world{url: "http://127.0.0.1:1/"}.run(t, "doctor")
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.out, "bad  connection: cannot connect to http://127.0.0.1:1/")
	assert.Equal(t, 3, strings.Count(r.out, "\n"), "the rest is not looked at:\n%s", r.out)
}

// What is reachable from elsewhere must ask who is there. The name is of another machine as far as the
// command can tell; the test's resolver knows better.
func TestDoctorOnExposure(t *testing.T) {
	for _, c := range []struct {
		name, env string
		closed    bool
		says      []string
	}{
		{"open", "", false, []string{"sees the page, and what is in the events"}},
		{"open, token", "x", false, []string{"unencrypted", "sees the page, and what is in the events"}},
		{"closed, token", "x", true, []string{"unencrypted"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake()
			f.override = func(w http.ResponseWriter, r *http.Request) bool {
				if c.closed && r.Header.Get("Authorization") == "" {
					problem(w, 401, "who is there?", "")
					return true
				}
				if r.Header.Get("Origin") == "" {
					r.Host = "127.0.0.1:1"
				}
				return false
			}
			d := &doctor{app: &app{now: time.Now}}
			a := &app{env: func(string) string { return c.env }, err: writerFunc(func(b []byte) (int, error) { return len(b), nil })}
			a.url = "http://machine.example/debug/earshot/"
			client, err := a.client()
			require.NoError(t, err)
			client.http.Transport = to(serve(t, f))
			d.client = client
			for _, check := range checkups[:3] {
				check.look(t.Context(), d, check.name)
			}
			var texts []string
			for _, x := range d.found {
				if x.Level == "bad" {
					texts = append(texts, x.Text)
				}
			}
			require.Len(t, texts, len(c.says), texts)
			for i := range texts {
				assert.Contains(t, texts[i], c.says[i])
			}
		})
	}
}

// to is a way to a server whatever the URL says.
type to string

func (u to) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	base, err := parseTarget(string(u))
	if err != nil {
		return nil, err
	}
	r.Host, r.URL.Host = base.Host, base.Host
	tr := &http.Transport{DisableKeepAlives: true}
	return tr.RoundTrip(r)
}
