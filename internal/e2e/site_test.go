package e2e

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/tap"
	"github.com/stretchr/testify/require"
)

// prefix is where the page is mounted if a test does not care.
const prefix = "/debug/earshot/"

// A site is a program with a tap page: a server of events, mounted on a web
// server on a loopback port.
type site struct {
	t    testing.TB
	srv  *earshot.Server
	web  *httptest.Server
	page string // URL of the page's folder, with a slash at its end
}

// An Order is what is sent when it does not matter what.
type Order struct {
	ID       int     `json:"id"`
	Amount   float64 `json:"amount"`
	Customer string  `json:"customer,omitempty"`
}

// newSite serves a page that may do what access says.
func newSite(t testing.TB, access tap.Access) *site {
	t.Helper()
	srv := newServer(t)
	return serve(t, srv, prefix, mount(prefix, handler(t, srv, &tap.Options{Allow: tap.Loopback(access)})), nil)
}

func newServer(t testing.TB) *earshot.Server {
	srv := earshot.NewServer(nil)
	t.Cleanup(func() { srv.Close() })
	return srv
}

// handler makes a page that is closed with the test.
func handler(t testing.TB, srv *earshot.Server, opts *tap.Options) http.Handler {
	page := tap.Handler(srv, opts)
	t.Cleanup(func() { page.Close() })
	return page
}

// mount puts a page where a program would have it, beside its own pages.
func mount(prefix string, page http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(prefix, page)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "the program") })
	return mux
}

// serve starts a web server for a page that is mounted at prefix.
func serve(t testing.TB, srv *earshot.Server, prefix string, h http.Handler, configure func(*httptest.Server)) *site {
	t.Helper()
	web := httptest.NewUnstartedServer(h)
	if configure != nil {
		configure(web)
	}
	web.Start()
	s := &site{t: t, srv: srv, web: web, page: web.URL + prefix}
	t.Cleanup(s.stop)
	return s
}

// stop ends the streams by stopping the server of events, and then the web
// server, as a program would.
func (s *site) stop() {
	s.srv.Close()
	s.web.CloseClientConnections()
	s.web.Close()
}

// tab opens a tab of the browser for this site, with a page in it unless path
// is "-".
func (s *site) tab(path string) *tab {
	s.t.Helper()
	p := newTab(s.t, s.web.URL)
	if path != "-" {
		p.open(s.page + path)
	}
	return p
}

// tap opens the live page for a filter and waits until its stream runs.
func (s *site) tap(filter, rate string) *tab {
	s.t.Helper()
	p := s.tab(tapPath(filter, rate))
	p.until(isLive)
	return p
}

func tapPath(filter, rate string) string {
	q := url.Values{}
	if filter != "" {
		q.Set("filter", filter)
	}
	if rate != "" {
		q.Set("rate", rate)
	}
	return "tap?" + q.Encode()
}

const isLive = `document.getElementById('conn').textContent.includes('live')`

// get fetches without a browser.
func (s *site) get(path string, header ...string) (status int, body string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), "GET", s.page+path, nil)
	require.NoError(s.t, err)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := s.web.Client().Do(req)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return resp.StatusCode, string(b)
}

// counts are the numbers that the live page always shows.
type counts struct {
	Seen, Shown, Filtered, Shed, Held int64
	Rows                              int // with an event
}

// The numbers are read at one moment: JavaScript in the page cannot run in
// between. People's separators of thousands are taken out.
const readCounts = `(() => {
	const n = id => { const e = document.getElementById(id); return e ? Number(e.textContent.replace(/[^0-9]/g, '')) : 0 };
	return {Seen: n('seen'), Shown: n('shown'), Filtered: n('filtered'), Shed: n('shed'), Held: n('held'),
		Rows: document.querySelectorAll('#rows tr[data-seq]').length};
})()`

func (p *tab) counts() counts {
	p.t.Helper()
	return eval[counts](p, readCounts)
}

// watchSum looks at the numbers at each frame that is painted, and remembers
// those that do not add up; sumFaults returns them and how often it looked.
func (p *tab) watchSum() {
	p.t.Helper()
	eval[void](p, `(() => {
		window.sums = {looks: 0, wrong: []};
		const look = () => {
			const c = `+readCounts+`;
			sums.looks++;
			if (c.Seen !== c.Shown + c.Filtered + c.Shed) sums.wrong.push(JSON.stringify(c));
			requestAnimationFrame(look);
		};
		look();
	})()`)
}

type sums struct {
	Looks int
	Wrong []string
}

func (p *tab) sums() sums {
	p.t.Helper()
	return eval[sums](p, `sums`)
}

// seqs are the numbers of the events in the rows, from top to bottom.
func (p *tab) seqs() []int {
	p.t.Helper()
	return eval[[]int](p, `[...document.querySelectorAll('#rows tr[data-seq]')].map(tr => +tr.dataset.seq)`)
}

// rows is the text of the rows with events.
func (p *tab) rowsText() string {
	p.t.Helper()
	return eval[string](p, `document.getElementById('rows').textContent`)
}

// background runs fn again and again until the test ends or stop is called.
func background(t testing.TB, every time.Duration, fn func(i int)) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-quit:
				return
			case <-tick.C:
				fn(i)
			}
		}
	}()
	var stopped bool
	stop = func() {
		if !stopped {
			stopped = true
			close(quit)
			<-done
		}
	}
	t.Cleanup(stop)
	return stop
}

// listenOn makes a listener on an address that was used a moment ago.
func listenOn(t testing.TB, addr string) net.Listener {
	t.Helper()
	var l net.Listener
	var err error
	poll(patience, func() bool {
		l, err = net.Listen("tcp", addr)
		return err == nil
	})
	if err != nil {
		t.Fatal("listen again:", err)
	}
	return l
}
