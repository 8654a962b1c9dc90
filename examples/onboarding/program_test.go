// An inside test: the test binary plays the program.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/earshot-go/earshot/internal/program"
)

func TestMain(m *testing.M) {
	program.Main(main)
	flag.Set("test.parallel", "8") // unless a flag says otherwise: most tests wait for a week to pass
	goleak.VerifyTestMain(m)
}

// flags are those of a process on a store, where a week and a TTL are short.
func (at place) flags(role string, more ...string) []string {
	return append([]string{"-role", role, "-store", at.url, "-listen", "127.0.0.1:0", "-week", "1s", "-ttl", "500ms"}, more...)
}

// add adds users, named after the prefix and a number.
func add(t *testing.T, s program.Site, prefix string, n int) (names []string) {
	t.Helper()
	for i := range n {
		name := fmt.Sprintf("%s%02d", prefix, i)
		status, body := s.Do(t, http.MethodPost, "/users/"+name)
		require.Equal(t, http.StatusCreated, status, body)
		names = append(names, name)
	}
	return names
}

// A mailbox is the file that mails are sent to.
type mailbox string

func newMailbox(t *testing.T) mailbox { return mailbox(filepath.Join(t.TempDir(), "mail")) }

// A mail is one line of it.
type mail struct{ id, to, text string }

const (
	welcome  = "Welcome, %s!"
	followUp = "How was your first week, %s?"
)

func (m mailbox) mails(t testing.TB) []mail {
	all, err := m.read()
	require.NoError(t, err)
	return all
}

func (m mailbox) read() (all []mail, err error) {
	text, err := os.ReadFile(string(m))
	if os.IsNotExist(err) {
		return nil, nil
	}
	for line := range strings.Lines(string(text)) {
		id, rest, _ := strings.Cut(line, " to ")
		to, text, _ := strings.Cut(rest, "@example.com: ")
		one := mail{id, to, strings.TrimSuffix(text, "\n")}
		if line != fmt.Sprintf("%s to %s@example.com: %s\n", one.id, one.to, one.text) {
			return all, fmt.Errorf("%q is not a whole mail", line)
		}
		all = append(all, one)
	}
	return all, err
}

// sent returns how often each user has had a mail.
func (m mailbox) sent(t testing.TB, text string) map[string]int {
	times := map[string]int{}
	for _, one := range m.mails(t) {
		if one.text == fmt.Sprintf(text, one.to) {
			times[one.to]++
		}
	}
	return times
}

// has waits until all of these have had a mail.
func (m mailbox) has(t testing.TB, text string, names []string) {
	t.Helper()
	var missing []string
	defer func() {
		if t.Failed() {
			t.Logf("no mail %q to %v", text, missing)
		}
	}()
	program.Until(t, fmt.Sprintf("%q to %d users", text, len(names)), func() bool {
		missing = nil
		sent := m.sent(t, text)
		for _, name := range names {
			if sent[name] == 0 {
				missing = append(missing, name)
			}
		}
		return len(missing) == 0
	})
}

// once requires that these have had the mail, once each, and nobody else.
func (m mailbox) once(t testing.TB, text string, names []string) {
	t.Helper()
	want := map[string]int{}
	for _, name := range names {
		want[name] = 1
	}
	require.Equal(t, want, m.sent(t, text))
}

// panelOf is the page of the queues that a server shows.
func panelOf(t *testing.T, s program.Site) (page struct{ Queues, Work, Dead, Stores []map[string]any }) {
	t.Helper()
	status, body := s.Do(t, http.MethodGet, "/debug/earshot/queues.json")
	require.Equal(t, http.StatusOK, status, body)
	require.NoError(t, json.Unmarshal([]byte(body), &page), body)
	return page
}

// row is that of a queue.
func row(t *testing.T, s program.Site, queue string) map[string]any {
	t.Helper()
	for _, row := range panelOf(t, s).Queues {
		if row["queue"] == queue {
			return row
		}
	}
	t.Fatalf("the panel has no queue %s", queue)
	return nil
}

func TestOneProcess(t *testing.T) {
	t.Parallel()
	at, box := onSQLite(t), newMailbox(t)
	p := program.Start(t, at.flags("all", "-mail", string(box))...)
	site := p.Site(t)
	names := add(t, site, "ann", 10)
	box.has(t, welcome, names)
	box.has(t, followUp, names)
	program.Until(t, "everything is counted", func() bool {
		_, body := site.Do(t, http.MethodGet, "/numbers")
		var n map[string]int
		require.NoError(t, json.Unmarshal([]byte(body), &n), body)
		return n[userAdded] == 10 && n[followedUp] == 10 && n[userFollowUp] == 10 && len(n) == 3
	})
	require.Zero(t, p.Stop(t))
	box.once(t, welcome, names)
	box.once(t, followUp, names)
}

func TestInMemory(t *testing.T) {
	p := program.Start(t, "-store", "mem:", "-listen", "127.0.0.1:0", "-week", "100ms")
	add(t, p.Site(t), "ann", 1)
	p.Saying(t, `^[\w-]{22} to ann00@example.com: Welcome, ann00!$`)
	p.Saying(t, `^[\w-]{22} to ann00@example.com: How was your first week, ann00\?$`)
	require.Zero(t, p.Stop(t))
}

// A server and two teams share the work: each user has each mail once, whoever sends it.
func TestThreeProcesses(t *testing.T) {
	t.Parallel()
	onShared(t, func(t *testing.T, at place) {
		box := newMailbox(t)
		web := program.Start(t, at.flags("web")...)
		site := web.Site(t)
		// While there is no team, its queue fills.
		names := add(t, site, "ann", 5)
		require.Equal(t, float64(5), row(t, site, teamQueue)["ready"])
		teams := []*program.Program{
			program.Start(t, at.flags("team", "-mail", string(box), "-ttl", "30s")...),
			program.Start(t, at.flags("team", "-mail", string(box), "-ttl", "30s")...),
		}
		for _, team := range teams {
			team.Saying(t, `at work`)
		}
		names = append(names, add(t, site, "bob", 5)...)
		box.has(t, welcome, names)
		box.has(t, followUp, names)
		for _, p := range append(teams, web) {
			require.Zero(t, p.Stop(t))
		}
		box.once(t, welcome, names)
		box.once(t, followUp, names)
	})
}

// The page shows what waits, in the store's words.
func TestPanel(t *testing.T) {
	t.Parallel()
	at, box := onSQLite(t), newMailbox(t)
	p := program.Start(t, at.flags("all", "-mail", string(box), "-week", "1h")...)
	site := p.Site(t)
	box.has(t, welcome, add(t, site, "ann", 3))
	program.Until(t, "three users wait for their week to be over", func() bool {
		r := row(t, site, teamQueue)
		return r["delayed"] == float64(3) && r["ready"] == float64(0) && r["leased"] == float64(0)
	})
	require.Equal(t, float64(3), row(t, site, "metrics")["delayed"])
	page := panelOf(t, site)
	require.Len(t, page.Stores, 1)
	require.Equal(t, "sqlite", page.Stores[0]["engine"])
	require.Equal(t, true, page.Stores[0]["durable"])
	require.Empty(t, page.Dead)
	status, body := site.Do(t, http.MethodGet, "/debug/earshot/queues")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, teamQueue)
	require.Zero(t, p.Stop(t))
}

// Work that a process is asked to leave is finished or given back: nothing is lost, and nothing is done twice.
func TestStopInTheMiddle(t *testing.T) {
	t.Parallel()
	onShared(t, func(t *testing.T, at place) {
		box := newMailbox(t)
		var names []string
		for _, prefix := range []string{"ann", "bob", "cay"} {
			p := program.Start(t, at.flags("all", "-mail", string(box), "-ttl", "30s")...)
			names = append(names, add(t, p.Site(t), prefix, 5)...)
			require.Zero(t, p.Stop(t), "in the middle")
		}
		p := program.Start(t, at.flags("all", "-mail", string(box), "-ttl", "30s")...)
		box.has(t, welcome, names)
		box.has(t, followUp, names)
		require.Zero(t, p.Stop(t))
		box.once(t, welcome, names)
		box.once(t, followUp, names)
	})
}

// A program that waits for its store ends when it is asked to, and that is no failure.
func TestStopBeforeStart(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	p := program.Start(t, "-store", "redis://"+silent.Addr().String())
	c, err := silent.Accept()
	require.NoError(t, err)
	defer c.Close()
	require.Zero(t, p.Stop(t))
	require.Empty(t, p.Said())
}

// A browser that looks at the stream of events does not keep the program from ending.
func TestStopWithViewer(t *testing.T) {
	p := program.Start(t, "-store", "mem:", "-listen", "127.0.0.1:0", "-grace", bound.String())
	site := p.Site(t)
	resp, err := site.Client.Get(site.URL + "/debug/earshot/events?filter=chan:queue")
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	began := time.Now()
	require.Zero(t, p.Stop(t))
	require.Less(t, time.Since(began), bound/2)
}
