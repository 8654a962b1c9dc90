package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/tap"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// corpus is text that does something where it is taken for markup, a script,
// an address or a command. Whatever runs calls the binding e2e, which fails the
// test.
var corpus = []string{
	`<script>e2e('xss script')</script>`,
	`<img src=x onerror="e2e('xss img')">`,
	`"><svg onload=e2e('xss svg')>`,
	`'><iframe srcdoc="<script>parent.e2e('xss frame')</script>">`,
	`javascript:e2e('xss url')`,
	`</textarea></title></script></style><script>e2e('xss close')</script>`,
	`<style>*{display:none}</style><link rel=stylesheet href=//evil.example/x.css>`,
	`<base href=//evil.example/><form action=//evil.example/><input autofocus onfocus=e2e('xss focus')>`,
	`<a href="javascript:e2e('xss link')">click</a><meta http-equiv=refresh content="0;url=//evil.example/">`,
	`{{constructor.constructor('e2e(1)')()}} ${e2e('xss template')} <%= e2e('xss erb') %>`,
	`&lt;script&gt;e2e('xss entity')&lt;/script&gt; &#x3c;b&#x3e;`,
	"<!--\u2028--><script>\u2029e2e('xss separator')</script>",
	"data: x\n\nevent: record\ndata: {\"channel\":\"forged\",\"seq\":1}\r\n\r\n",
	"\x1b[2J\x1b]0;owned\a\x1b[31mred \u009b31m",
	"nul \x00 bell \a back \b del \x7f",
	"right \u202egnp.exe\u202c to \u2066left\u2069 \u200f\u061c",
	"invalid \xff\xfe\xc0\xaf utf-8 \xed\xa0\x80",
	"emoji 👩‍👩‍👧‍👦 🏴󠁧󠁢󠁳󠁣󠁴󠁿 zalgo ẍ̸̡̛̠̣̖̗̘̙̜̝̞̟̠̤̥̦̩̪̫̬̭̮̯̰̱̲̳",
	`=cmd|'/c calc'!A1`,
	strings.Repeat("w", 300),
}

// A Nasty has text wherever an event can have it.
type Nasty struct {
	Text  string            `json:"text"`
	Bytes []byte            `json:"bytes"`
	Err   error             `json:"err"`
	Map   map[string]string `json:"map"`
	Raw   json.RawMessage   `json:"raw"`
}

// Markup and control characters are text wherever they come from: events,
// names of channels and subscribers, documentation, the address.
func TestUX28MarkupIsInert(t *testing.T) {
	s := newSite(t, tap.Look|tap.Payloads)
	p := s.tap("-chan:nothing", "all")
	p.expect(`status 40[04]|Failed to load resource.* 40[04]`) // names that are none
	for i, text := range corpus {
		raw, _ := json.Marshal(map[string]string{text: text})
		earshot.NewChannel[Nasty](s.srv, text, &earshot.ChannelOptions{Doc: "doc " + text})
		m := earshot.NewMailbox[any](t.Context(), s.srv, &earshot.MailboxOptions{Name: "name " + text})
		_, err := m.Subscribe(text)
		require.NoError(t, err)
		defer m.Close()
		earshot.SendEvent(s.srv, text, Nasty{
			Text: text, Bytes: []byte(text), Err: errors.New(text), Map: map[string]string{text: text}, Raw: raw,
		})
		earshot.SendEvent(s.srv, "plain", text)
		p.until(fmt.Sprintf(`(%s).Rows === %d`, readCounts, 2*(i+1)))
	}
	// Open them all, so that the pretty form is seen too.
	eval[void](p, `(async () => {
		for (const row of document.querySelectorAll('#rows tr[data-seq]')) { row.click(); await new Promise(requestAnimationFrame) }
	})()`)
	p.inert("the live page")

	p.tourOf(s, func(path string) { p.inert(path) })
	for _, text := range corpus {
		q := query("name", text, "q", text, "sort", text, "page", text, "filter", text, "ref", text, "rate", text)
		for _, path := range []string{"", "channels", "channel", "subscribers", "subscriber", "slow", "tap", "help", text} {
			if strings.ContainsAny(path, "\x00\n") || path == text && strings.HasPrefix(text, "/") {
				continue
			}
			p.open(s.page + escape(path) + "?" + q)
			p.inert(path + " with " + quote(text) + " in its address")
		}
	}
}

// inert fails the test if a page holds what only markup of the corpus makes,
// or characters that change how others are read.
func (p *tab) inert(where string) {
	p.t.Helper()
	got := eval[[]string](p, `(() => {
		const bad = [...document.querySelectorAll('iframe, [onerror], [onload], [onfocus], base, meta[http-equiv=refresh], script:not([src]), style, a[href], form, link, script')]
			.filter(e => !['A', 'FORM', 'LINK', 'SCRIPT'].includes(e.tagName) || !(e.href || e.src || e.getAttribute('action') && new URL(e.getAttribute('action'), location).href || location.origin + '/').startsWith(location.origin + '/'))
			.map(e => e.outerHTML.slice(0, 200));
		const control = document.body.innerText.match(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/);
		if (control) bad.push('character ' + control[0].charCodeAt(0).toString(16) + ' near ' + JSON.stringify(document.body.innerText.slice(Math.max(0, control.index - 40), control.index + 20)));
		if (document.querySelector('[data-channel=forged]')) bad.push('a forged record');
		return bad;
	})()`)
	assert.Empty(p.t, got, where)
}

// A Limits has numbers that a float64 does not have.
type Limits struct {
	MaxInt  int64       `json:"max_int"`
	MinInt  int64       `json:"min_int"`
	MaxUint uint64      `json:"max_uint"`
	Odd     int64       `json:"odd"`
	Number  json.Number `json:"number"`
	Huge    float64     `json:"huge"`
	Big     string      `json:"big"`
	Zero    string      `json:"zero"`
	Invalid string      `json:"invalid"`
}

// Numbers and text are shown, opened, and saved as they are.
func TestUX29Exact(t *testing.T) {
	s := newSite(t, tap.Look|tap.Payloads)
	p := s.tap("chan:limits", "all")
	earshot.SendEvent(s.srv, "limits", Limits{
		MaxInt: math.MaxInt64, MinInt: math.MinInt64, MaxUint: math.MaxUint64, Odd: 1<<53 + 1,
		Number: "12345678901234567890.12345678901234567890", Huge: math.MaxFloat64,
		Big: strings.Repeat("x", 1<<20), Zero: "a\x00b", Invalid: "a\xffb",
	})
	p.until(fmt.Sprintf(`(%s).Rows === 1`, readCounts))
	numbers := []string{
		"9223372036854775807", "-9223372036854775808", "18446744073709551615", "9007199254740993",
		"12345678901234567890.12345678901234567890", "1.7976931348623157e+308", "1048576 bytes",
	}
	row := p.rowsText()
	p.do(chromedp.Click(chromedp.CSS("#rows tr[data-seq]")))
	p.until(`document.getElementById('rows').textContent.length > ` + fmt.Sprint(len([]rune(row))))
	opened := p.rowsText()
	saved := p.save()
	for _, n := range numbers {
		assert.True(t, strings.Contains(opened, n), "%s is not in the row: %s", n, shorten(opened))
		assert.True(t, strings.Contains(string(saved), n), "%s has not been saved: %s", n, shorten(string(saved)))
	}
	assert.True(t, strings.Contains(opened, `a\u0000b`), shorten(opened))
	assert.True(t, strings.Contains(opened, `a\ufffdb`), shorten(opened))
	lines := bytes.Split(bytes.TrimSpace(saved), []byte("\n"))
	require.Len(t, lines, 1)
	var rec struct {
		Channel string
		Seq     int
		Event   Limits
	}
	require.NoError(t, json.Unmarshal(lines[0], &rec))
	assert.Equal(t, "limits", rec.Channel)
	assert.Equal(t, 1, rec.Seq)
	assert.Equal(t, uint64(math.MaxUint64), rec.Event.MaxUint)
	assert.Equal(t, int64(math.MinInt64), rec.Event.MinInt)
	assert.Equal(t, "a\x00b", rec.Event.Zero)
}

// shorten leaves out the middle of a long text.
func shorten(s string) string {
	if len(s) < 1000 {
		return s
	}
	return s[:500] + " … " + s[len(s)-500:]
}

// What is saved is what is on the page, and what is held while paused.
func TestSave(t *testing.T) {
	s := newSite(t, tap.Look|tap.Payloads)
	p := s.tap("chan:orders.*", "all")
	send(s, "orders.paid", 1, 30)
	p.until(fmt.Sprintf(`(%s).Rows === 30`, readCounts))
	p.keys(" ")
	p.until(`document.getElementById('pause').getAttribute('aria-pressed') === 'true'`)
	send(s, "orders.paid", 31, 50)
	p.until(fmt.Sprintf(`(%s).Held === 20`, readCounts))
	lines := bytes.Split(bytes.TrimSpace(p.save()), []byte("\n"))
	require.Len(t, lines, 50)
	for i, line := range lines {
		var rec struct {
			Seq   int
			Event Order
		}
		require.NoError(t, json.Unmarshal(line, &rec))
		assert.Equal(t, i+1, rec.Seq)
		assert.Equal(t, i+1, rec.Event.ID)
	}
}

// save presses the button and returns the file.
func (p *tab) save() []byte {
	p.t.Helper()
	dir := p.t.TempDir()
	c := chromedp.FromContext(p.ctx)
	_, err := chromedp.CallBrowser(p.ctx, cdpbrowser.SetDownloadBehavior, cdpbrowser.SetDownloadBehaviorParams{
		Behavior: cdpbrowser.SetDownloadBehaviorBehaviorAllow, BrowserContextID: c.BrowserContextID, DownloadPath: dir,
	})
	require.NoError(p.t, err)
	p.do(chromedp.Click(chromedp.ID("save")))
	var files []string
	saved := poll(patience, func() bool {
		files, _ = filepath.Glob(filepath.Join(dir, "*.ndjson"))
		return len(files) == 1
	})
	if !saved {
		all, _ := os.ReadDir(dir)
		p.t.Fatalf("no .ndjson file was saved; there is %v", all)
	}
	body, err := os.ReadFile(files[0])
	require.NoError(p.t, err)
	return body
}

const canary = "canary-7f3a9c"

// A Secretive has the canary wherever a payload can have something.
type Secretive struct {
	Text string            `json:"text"`
	Map  map[string]string `json:"map"`
	Err  error             `json:"err"`
}

// Without the permission nothing of a payload gets out, by no way.
func TestUX30PayloadsAreHidden(t *testing.T) {
	var logged safeBuffer
	srv := earshot.NewServer(&earshot.Options{Logger: slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	s := serve(t, srv, prefix, mount(prefix, handler(t, srv, nil)), nil)
	event := Secretive{canary, map[string]string{canary: canary}, errors.New(canary)}
	p := s.tap("chan:secret.*", "all")
	p.expect(`status 40[03]|Failed to load resource.* 40[03]`)
	var streams safeBuffer
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for _, accept := range []string{"text/event-stream", "application/x-ndjson", "*/*"} {
		req, err := http.NewRequestWithContext(ctx, "GET", s.page+"events?filter=chan:secret.*&rate=all&stats=1", nil)
		require.NoError(t, err)
		req.Header.Set("Accept", accept)
		resp, err := s.web.Client().Do(req)
		require.NoError(t, err)
		require.Equal(t, 200, resp.StatusCode)
		wg.Go(func() {
			defer resp.Body.Close()
			io.Copy(&streams, resp.Body)
		})
	}
	background(t, 10*time.Millisecond, func(int) {
		earshot.SendEvent(s.srv, "secret.a", event)
		earshot.SendEvent(s.srv, "secret.b", &event)
		earshot.SendEvent(s.srv, "secret.c", canary)
	})
	p.until(fmt.Sprintf(`(%s).Rows > 20`, readCounts))
	eval[void](p, `document.querySelectorAll('#rows tr[data-seq]').forEach(r => r.click())`)
	look := func(where string) {
		assert.NotContains(t, eval[string](p, `document.documentElement.outerHTML`), canary, where)
	}
	look("tap")
	assert.NotContains(t, string(p.save()), canary, "saved")
	// A filter on what is inside would tell by what it lets through.
	for _, filter := range []string{canary, "text=" + canary, "text~^canary", "/canary/", "err"} {
		status, body := s.get("events?count=1&filter="+escape(filter), "Accept", "application/x-ndjson")
		assert.Equal(t, 403, status, filter)
		assert.Contains(t, body, `"hint"`)
	}
	p.tourOf(s, look)
	for _, path := range []string{"overview.json", "channels.json", "channel.json?name=secret.a", "subscribers.json", "slow.json", "metrics"} {
		status, body := s.get(path)
		assert.Equal(t, 200, status, path)
		assert.NotContains(t, body, canary, path)
	}
	cancel()
	wg.Wait()
	assert.Contains(t, streams.String(), "secret.a", "the streams have run")
	assert.NotContains(t, streams.String(), canary)
	assert.NotContains(t, logged.String(), canary)
}

// Without the permission there is nothing to send with, and a request that was
// made by hand is refused.
func TestUX31NoWrites(t *testing.T) {
	s := newSite(t, tap.Look|tap.Payloads)
	earshot.NewChannel[Order](s.srv, "orders.paid", nil)
	p := s.tab("-")
	p.tourOf(s, func(path string) {
		assert.False(t, eval[bool](p, `!!document.querySelector('form[method=post i], [formmethod=post i], [formaction]')`), path)
	})
	p.open(s.page)
	p.expect(`403`)
	got := eval[int](p, `fetch('emit?channel=orders.paid', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: '{"id":1}'}).then(r => r.status)`)
	assert.Equal(t, 403, got)
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
