package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// patience is how long a page may take for anything. Nothing takes it unless
// something is broken; the machine may be busy with other tests.
const patience = 20 * time.Second

// A tab is a page in the browser that remembers everything that went wrong in
// it. The test fails at its end if something did that was not announced by
// expect.
type tab struct {
	t      testing.TB
	ctx    context.Context
	origin string // that requests may go to

	mu       sync.Mutex
	faults   []string
	expected []*regexp.Regexp
	requests []*network.EventRequestWillBeSent
	bodies   map[network.RequestID]int64 // bytes received, without headers
}

type void = chromedp.Void

// watch runs in every document before its own scripts. The binding of the same
// name tells the test; markup in payloads calls it too, to give itself away.
const watch = `addEventListener('securitypolicyviolation', e =>
	e2e('content security policy: ' + e.violatedDirective + ' blocks ' + (e.blockedURI || '?') + ' ' + (e.sample || '')))`

// newTab opens an empty tab that may speak with origin only.
func newTab(t testing.TB, origin string, opts ...chromedp.ContextOption) *tab {
	t.Helper()
	parent := start(t)
	if len(opts) == 0 {
		opts = append(opts, chromedp.WithNewBrowserContext())
	}
	return tabIn(t, parent, origin, opts...)
}

// sibling opens another tab with the same profile: the same connections, the
// same local storage.
func (p *tab) sibling(opts ...chromedp.ContextOption) *tab {
	p.t.Helper()
	return tabIn(p.t, p.ctx, p.origin, opts...)
}

func tabIn(t testing.TB, parent context.Context, origin string, opts ...chromedp.ContextOption) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(parent, opts...)
	p := &tab{t: t, ctx: ctx, origin: origin, bodies: make(map[network.RequestID]int64)}
	t.Cleanup(func() {
		p.finish()
		cancel()
	})
	if err := chromedp.Listen(ctx, p.hear); err != nil {
		t.Fatal("open a tab:", err)
	}
	p.do(
		call(runtime.AddBinding, runtime.AddBindingParams{Name: "e2e"}),
		call(cdppage.AddScriptToEvaluateOnNewDocument, cdppage.AddScriptToEvaluateOnNewDocumentParams{Source: watch}),
		// Tabs behave as if each had the keyboard.
		call(emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}),
	)
	return p
}

// call makes a step of a protocol command whose result is of no interest.
func call[P, R any](cmd cdp.Command[P, R], params P) chromedp.Action[void] {
	return func(ctx context.Context, t *chromedp.Target) (void, error) {
		_, err := cdp.Call(ctx, t, cmd, params)
		return void{}, err
	}
}

// hear notes what happens in the tab. It must be quick, and send no command.
func (p *tab) hear(ev any) {
	switch ev := ev.(type) {
	case *runtime.EventBindingCalled:
		p.fault("%s", ev.Payload)
	case *runtime.EventExceptionThrown:
		d := ev.ExceptionDetails
		text := d.Text
		if d.Exception != nil {
			text += " " + d.Exception.Description
		}
		p.fault("exception: %s (%s:%d)", text, d.URL, d.LineNumber+1)
	case *runtime.EventConsoleAPICalled:
		if ev.Type == "error" || ev.Type == "warning" || ev.Type == "assert" {
			var args []string
			for _, a := range ev.Args {
				args = append(args, string(a.Value)+a.Description)
			}
			p.fault("console.%s: %s", ev.Type, strings.Join(args, " "))
		}
	case *log.EventEntryAdded:
		if ev.Entry.Level == log.EntryLevelError || ev.Entry.Level == log.EntryLevelWarning {
			p.fault("console: %s: %s %s", ev.Entry.Level, ev.Entry.Text, ev.Entry.URL)
		}
	case *cdppage.EventJavascriptDialogOpening:
		p.fault("dialog: %s %s", ev.Type, ev.Message)
		go chromedp.Call(p.ctx, cdppage.HandleJavaScriptDialog, cdppage.HandleJavaScriptDialogParams{})
	case *network.EventRequestWillBeSent:
		p.mu.Lock()
		p.requests = append(p.requests, ev)
		p.mu.Unlock()
		if u := ev.Request.URL; !strings.HasPrefix(strings.TrimPrefix(u, "blob:"), p.origin+"/") && u != "about:blank" {
			p.fault("request to another origin: %s", u)
		}
	case *network.EventResponseReceived:
		if ev.Response.Status >= 400 {
			p.fault("status %v: %s", ev.Response.Status, ev.Response.URL)
		}
	case *network.EventDataReceived:
		p.mu.Lock()
		p.bodies[ev.RequestID] += ev.DataLength
		p.mu.Unlock()
	case *network.EventLoadingFailed:
		if !ev.Canceled { // leaving a page ends its stream
			p.fault("loading failed: %s %s", ev.ErrorText, ev.BlockedReason)
		}
	}
}

func (p *tab) fault(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, re := range p.expected {
		if re.MatchString(text) {
			return
		}
	}
	p.faults = append(p.faults, text)
}

// expect announces faults that the test provokes, from now on.
func (p *tab) expect(re string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected = append(p.expected, regexp.MustCompile(re))
}

// takeFaults returns what went wrong so far, and forgets it.
func (p *tab) takeFaults() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	faults := p.faults
	p.faults = nil
	return faults
}

// finish fails the test for the faults of its tab, and keeps a picture of a
// failure for those who look for its reason.
func (p *tab) finish() {
	for _, fault := range p.takeFaults() {
		p.t.Errorf("in the page: %s", fault)
	}
	if !p.t.Failed() {
		return
	}
	dir := p.t.ArtifactDir()
	if png, err := try(p, chromedp.CaptureScreenshot()); err == nil {
		os.WriteFile(filepath.Join(dir, "page.png"), png, 0o644)
	}
	if html, err := try(p, chromedp.Evaluate[string](`document.documentElement.outerHTML`)); err == nil {
		os.WriteFile(filepath.Join(dir, "page.html"), []byte(html), 0o644)
	}
	p.t.Logf("the page as it was left is in %s (with -artifacts it is kept)", dir)
}

// try runs one action with a limit of time.
func try[T any](p *tab, a chromedp.Action[T]) (T, error) {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, a)
}

// do runs steps, and ends the test if one fails.
func (p *tab) do(steps ...chromedp.Action[void]) {
	p.t.Helper()
	for i, step := range steps {
		if _, err := try(p, step); err != nil {
			p.t.Fatalf("step %d: %v", i+1, err)
		}
	}
}

// open goes to an address and waits until it has loaded.
func (p *tab) open(address string) {
	p.t.Helper()
	if _, err := try(p, chromedp.Navigate(address)); err != nil {
		p.t.Fatalf("open %s: %v", address, err)
	}
}

// eval returns the value of an expression in the page, which may be a promise.
func eval[T any](p *tab, js string) T {
	p.t.Helper()
	v, err := try(p, chromedp.Evaluate[T](js, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %v", js, err)
	}
	return v
}

// until waits for an expression to become true. It asks from outside of the
// page, so that a page may be left, reloaded or out of sight meanwhile.
func (p *tab) until(js string) {
	p.t.Helper()
	p.untilIn(patience, js)
}

func (p *tab) untilIn(limit time.Duration, js string) {
	p.t.Helper()
	var last error
	ok := poll(limit, func() (ok bool) {
		ok, last = try(p, chromedp.Evaluate[bool](`!!(`+js+`)`))
		return ok
	})
	if !ok {
		p.t.Fatalf("not within %v: %s (last error: %v)\nthe page says: %s", limit, js, last, p.summary())
	}
}

// poll asks until the answer is yes, and returns false if it is not within
// limit.
func poll(limit time.Duration, ok func() bool) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); !ok(); <-tick.C {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// refreshed waits until a page of tables has fetched itself anew, and shows
// what it got. Pages that do not do that are ready as they are.
func (p *tab) refreshed() {
	p.t.Helper()
	if !eval[bool](p, `!!document.getElementById('view')`) {
		return
	}
	// What a page does when it has its answer is done before the next task.
	eval[void](p, `(() => {
		window.refreshes = 0;
		if (window.unwatched) return;
		window.unwatched = window.fetch;
		window.fetch = async (...args) => {
			const res = await unwatched(...args);
			if (String(args[0]) === location.href) {
				res.text = async () => {
					const text = await Response.prototype.text.call(res);
					setTimeout(() => { refreshes++ });
					return text;
				};
			}
			return res;
		};
	})()`)
	p.until(`refreshes > 0`)
}

// summary is what a person would look at first.
func (p *tab) summary() string {
	s, _ := try(p, chromedp.Evaluate[string](`location.href + ' | ' + document.title + ' | ' +
		['status','conn','seen','shown','filtered','shed','held','filter-error']
		.map(id => { const e = document.getElementById(id); return e ? '#' + id + '=' + e.textContent.trim() : '' }).filter(Boolean).join(' ')
		+ ' rows=' + document.querySelectorAll('#rows tr').length`))
	return s
}

// keys types keys, as if on the keyboard. A letter belongs to its key press, so
// that a page that takes the key keeps the letter from being typed; chromedp's
// KeyEvent sends letters on their own.
func (p *tab) keys(keys string) {
	p.t.Helper()
	for _, r := range keys {
		var down, up *input.DispatchKeyEventParams
		for _, k := range kb.Encode(r) {
			switch k.Type {
			case kb.KeyChar:
				down.Text, down.UnmodifiedText = k.Text, k.UnmodifiedText
			case kb.KeyUp:
				up = k
			default:
				down = k
			}
		}
		p.do(call(input.DispatchKeyEvent, *down), call(input.DispatchKeyEvent, *up))
	}
}

// text returns the text of an element as it is in the document.
func (p *tab) text(selector string) string {
	p.t.Helper()
	return eval[string](p, `(document.querySelector(`+quote(selector)+`) || {textContent: '(no `+selector+`)'}).textContent.trim()`)
}

// quote makes a JavaScript string.
func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// viewport sets the size of the page.
func (p *tab) viewport(width, height int64) {
	p.t.Helper()
	p.do(chromedp.EmulateViewport(width, height))
}

// media emulates what the visitor prefers: "prefers-color-scheme", "dark".
func (p *tab) media(pairs ...string) {
	p.t.Helper()
	var features []*emulation.MediaFeature
	for i := 0; i+1 < len(pairs); i += 2 {
		features = append(features, &emulation.MediaFeature{Name: pairs[i], Value: pairs[i+1]})
	}
	p.do(call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}))
}

// withoutScripts turns JavaScript off for the documents to come.
func (p *tab) withoutScripts() {
	p.t.Helper()
	p.do(call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}))
}

// skew sets the clock of the documents to come wrong.
func (p *tab) skew(d time.Duration) {
	p.t.Helper()
	p.do(call(cdppage.AddScriptToEvaluateOnNewDocument, cdppage.AddScriptToEvaluateOnNewDocumentParams{Source: fmt.Sprintf(`(() => {
		const off = %d, Real = Date;
		Date = class extends Real { constructor(...a) { if (a.length) super(...a); else super(Real.now() + off) } static now() { return Real.now() + off } };
	})()`, d.Milliseconds())}))
}
