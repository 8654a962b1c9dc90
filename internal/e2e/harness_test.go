package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

// A fixture that finds nothing proves nothing: each fault that it is there to
// find is planted here once.
func TestHarnessFindsFaults(t *testing.T) {
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	const policy = "default-src 'none'; script-src 'self'; img-src 'self'; connect-src *"
	for _, c := range []struct{ name, html, js, fault string }{
		{"none", `<p>hello`, ``, ""},
		{"console", ``, `console.error("planted")`, "console.error: .*planted"},
		{"exception", ``, `setTimeout(() => { throw new Error("planted") })`, "exception: .*planted"},
		{"rejection", ``, `Promise.reject(new Error("planted"))`, "exception: .*planted"},
		{"inline script", `<script>1</script>`, ``, "content security policy: script-src-elem"},
		{"inline style", `<p style="color:red">x`, ``, "content security policy: style-src-attr"},
		{"handler", `<img src=x onerror="e2e('planted')">`, ``, "content security policy"},
		{"another origin", ``, `fetch("` + other.URL + `/x").catch(() => {})`, "request to another origin: "},
		{"not found", ``, `fetch("nothing")`, "status 404: "},
		{"refused", ``, `fetch("hangup").catch(() => {})`, "loading failed: "},
		{"dialog", ``, `alert("planted")`, "dialog: alert planted"},
		{"give-away", ``, `e2e("planted")`, "planted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			mux := http.NewServeMux()
			mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Security-Policy", policy)
				w.Header().Set("Content-Type", "text/html")
				io.WriteString(w, `<!doctype html><link rel=icon href=icon.svg><title>t</title>`+c.html+`<script src=s.js></script>`)
			})
			mux.HandleFunc("/s.js", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/javascript")
				io.WriteString(w, c.js)
			})
			mux.HandleFunc("/icon.svg", func(http.ResponseWriter, *http.Request) {})
			mux.HandleFunc("/hangup", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
			srv := httptest.NewServer(mux)
			t.Cleanup(srv.Close) // after the tab, whose requests would be refused

			p := newTab(t, srv.URL)
			p.open(srv.URL + "/")
			if c.fault == "" {
				assert.Empty(t, p.takeFaults())
				return
			}
			var all []string
			found := func() bool {
				all = append(all, p.takeFaults()...)
				return slices.ContainsFunc(all, regexp.MustCompile(c.fault).MatchString)
			}
			assert.True(t, poll(patience, found), "%q is not among %q", c.fault, all)
			p.takeFaults()
		})
	}
}
