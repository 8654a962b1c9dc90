package tap_test

import (
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/earshot-go/earshot/tap"
	"github.com/stretchr/testify/require"
)

// Every error says what is wrong and what to do: to programs as JSON, to browsers as a page with the
// same words.
func TestFail(t *testing.T) {
	s := newServer(t)
	newMailbox[int](t, s, "c", nil)
	p, closed := newPage(t, s, allow(all)), newPage(t, s, nil)
	closed.Close()
	for _, c := range []struct {
		page           http.Handler
		method, target string
		status         int
		what           string
	}{
		{p, "GET", "/nothing", 404, `there is no page "nothing"`},
		{p, "GET", "/nothing.json", 404, `there is no page "nothing"`},
		{p, "GET", "/events.json", 404, `there is no page "events"`},
		{p, "GET", "/%3Cscript%3E", 404, `there is no page "<script>"`},
		{p, "GET", "/channel", 404, `there is no channel ""`},
		{p, "GET", "/channel?name=x", 404, `there is no channel "x"`},
		{p, "GET", "/channel.json?name=%00%1b[2J", 404, `there is no channel "\x00\x1b[2J"`},
		{p, "GET", "/subscriber?ref=ref%230", 404, `there is no subscription "ref#0"`},
		{p, "POST", "/", 405, "the method POST is not for this page"},
		{p, "PUT", "/channels", 405, "the method PUT is not for this page"},
		{p, "GET", "/emit", 405, "the method GET is not for this page"},
		{p, "DELETE", "/emit", 405, "the method DELETE is not for this page"},
		{p, "POST", "/events", 405, "the method POST is not for this page"},
		{p, "GET", "/channels?over=x", 400, `over is not a time up to 10s: "x"`},
		{p, "GET", "/channels?over=11s", 400, `over is not a time up to 10s: "11s"`},
		{p, "GET", "/channels?over=-1s", 400, `over is not a time up to 10s: "-1s"`},
		{p, "GET", "/events?count=0", 400, `count is not a number of records: "0"`},
		{p, "GET", "/events?count=-1", 400, `count is not a number of records: "-1"`},
		{p, "GET", "/events?count=1e3", 400, `count is not a number of records: "1e3"`},
		{p, "GET", "/events?count=99999999999999999999", 400, `count is not a number of records`},
		{p, "GET", "/events?filter=amount%3E%3E1", 400, "the filter does not parse"},
		{p, "GET", "/events?rate=fast", 400, "rate is no number of events in a time"},
		{p, "GET", "/events?rate=-5/s", 400, "rate is no number of events in a time"},
		{p, "GET", "/events?rate=0", 400, "rate is no number of events in a time"},
		{closed, "GET", "/", 503, "the page has been closed"},
		{closed, "GET", "/events", 503, "the page has been closed"},
		{newPage(t, s, allow(0)), "GET", "/", 403, "not allowed"},
	} {
		w := ask(c.page, local(c.method, c.target))
		require.Equal(t, c.status, w.Code, "%s %s: %s", c.method, c.target, w.Body)
		require.Equal(t, "application/json", w.Header().Get("Content-Type"))
		body := parse(t, w.Body.String())
		require.Contains(t, body["error"], c.what)
		require.Equal(t, number(c.status), number(body["status"]))
		require.NotEmpty(t, body["hint"], "%s %s", c.method, c.target)
		if c.status == 405 {
			require.NotEmpty(t, w.Header().Get("Allow"))
			require.Contains(t, body["hint"], strings.Split(w.Header().Get("Allow"), ",")[0])
		}

		w = ask(c.page, local(c.method, c.target, "Accept", "text/html,application/xhtml+xml"))
		require.Equal(t, c.status, w.Code)
		require.Equal(t, "text/html; charset=utf-8", w.Header().Get("Content-Type"))
		require.Contains(t, w.Body.String(), html.EscapeString(c.what))
		require.NotContains(t, w.Body.String(), "<script>alert")
	}
}

// A filter that does not parse is answered with the place, before any stream.
func TestFail_Filter(t *testing.T) {
	p := newPage(t, newServer(t), nil)
	const text = `chan:orders.* type:"open`
	target := "/events?filter=" + url.QueryEscape(text)
	for _, accept := range []string{"text/event-stream", "application/x-ndjson", "*/*"} {
		w := ask(p, local("GET", target, "Accept", accept))
		require.Equal(t, http.StatusBadRequest, w.Code)
		f := parse(t, w.Body.String())["filter"].(map[string]any)
		require.Equal(t, number(strings.Index(text, `"`)), number(f["pos"]))
		require.NotEmpty(t, number(f["len"]))
		require.NotEmpty(t, f["message"])
		lines := strings.Split(f["caret"].(string), "\n")
		require.GreaterOrEqual(t, len(lines), 3)
		at := -1
		for i, l := range lines {
			if strings.Contains(l, text) {
				at = i
			}
		}
		require.GreaterOrEqual(t, at, 0, "%q", lines)
		require.Equal(t, strings.Index(lines[at], `"open`), strings.Index(lines[at+1], "^"), "the caret is under the place")
	}
	w := ask(p, local("GET", target, "Accept", "text/html"))
	require.Contains(t, w.Body.String(), "quote", "a browser is told, too, what is wrong with it")

	page := look(t, p, "/tap?filter="+url.QueryEscape(text))
	require.Contains(t, page, "^", "and the live tap shows it without a script")
}

// What a filter finds tells what is inside, so those who may not see payloads may not ask.
func TestFail_FilterLooksInside(t *testing.T) {
	s := newServer(t)
	hidden, shown := newPage(t, s, nil), newPage(t, s, allow(tap.Look|tap.Payloads))
	for _, text := range []string{"amount>100", "paid", `"paid"`, "/paid/", "err", "-err", "chan:x -paid", "type:order id=1", "note~^a", "a.b!=1"} {
		target := "/events?filter=" + url.QueryEscape(text)
		for _, method := range []string{"GET", "HEAD"} {
			w := ask(hidden, local(method, target))
			require.Equal(t, http.StatusForbidden, w.Code, "%s", text)
		}
		require.Contains(t, ask(hidden, local("GET", target)).Body.String(), "tap.Payloads")
		require.Contains(t, look(t, hidden, "/tap?filter="+url.QueryEscape(text)), "hidden from you")
		require.Equal(t, http.StatusOK, ask(shown, local("HEAD", target)).Code, "%s", text)
	}
	for _, text := range []string{"", "chan:x", "type:order", "-type:order -chan:x", "rate:5/s", "1/10"} {
		require.Equal(t, http.StatusOK, ask(hidden, local("HEAD", "/events?filter="+url.QueryEscape(text))).Code, "%s", text)
	}
	require.Equal(t, http.StatusBadRequest, ask(hidden, local("HEAD", "/events?rate="+url.QueryEscape("5/s amount>1"))).Code, "a rate is no way around")
}
