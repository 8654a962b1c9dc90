package e2e

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/earshot-go/earshot/tap"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// No page asks anybody but its own server, violates the policy that came with
// it, or fails at something: that is what each tab checks at its end; this goes
// everywhere. The policy is the strict one.
func TestUX11And12OwnOriginStrictPolicy(t *testing.T) {
	s := populated(t)
	p := s.tab("-")
	p.tourOf(s, func(path string) {
		p.waitForRows(path)
		p.refreshed()
	})
	p.mu.Lock()
	assert.Greater(t, len(p.requests), 10, "the requests have been seen")
	p.mu.Unlock()
	for _, path := range append(s.tour(), "app.js", "style.css", "metrics", "overview.json", "nothing") {
		req, err := http.NewRequestWithContext(t.Context(), "GET", s.page+path, nil)
		require.NoError(t, err)
		resp, err := s.web.Client().Do(req)
		require.NoError(t, err)
		resp.Body.Close()
		policy := resp.Header.Get("Content-Security-Policy")
		assert.Contains(t, policy, "default-src 'none'", path)
		assert.Contains(t, policy, "frame-ancestors 'none'", path)
		assert.NotContains(t, policy, "unsafe", path)
		assert.Equal(t, "nosniff", resp.Header.Get("X-Content-Type-Options"), path)
	}
}

// Without JavaScript everything that is a table can be read, sorted, searched
// and paged, and a wrong filter is explained.
func TestUX13WithoutScripts(t *testing.T) {
	s := populated(t)
	p := s.tab("-")
	p.expect(`400`)
	p.withoutScripts()
	p.tourOf(s, func(path string) {
		switch name := strings.TrimPrefix(path, "page "); name {
		case "", "channels", "subscribers", "slow":
			assert.True(t, eval[bool](p, `[...document.querySelectorAll('table')].some(e => e.checkVisibility() && e.querySelector('tbody tr'))`), "%s: no rows", path)
			assert.True(t, eval[bool](p, `[...document.querySelectorAll('a[href]')].some(a => /refresh|reload/i.test(a.textContent) && a.checkVisibility())`), "%s: no link to refresh", path)
		case "tap":
			assert.True(t, eval[bool](p, `document.getElementById('filter').checkVisibility() && !!document.getElementById('filter').form`), path)
			assert.True(t, eval[bool](p, `!!document.querySelector('noscript')?.textContent.trim()`), "says what is missing")
		}
	})
	p.open(s.page + "channels")
	assert.Contains(t, p.text("main"), "orders.paid")
	assert.Contains(t, p.text("main"), "one event for each order")
	p.open(s.page + "channels?q=refund")
	assert.Contains(t, p.text("main table"), "orders.refunded")
	assert.NotContains(t, p.text("main table tbody"), "orders.paid")
	p.open(s.page + "channels")
	p.do(chromedp.Click(chromedp.CSS("main th a[href]")))
	p.until(`new URL(location).searchParams.get('sort') && document.readyState === 'complete'`)
	p.open(s.page + "tap?" + query("filter", "amount>> 5"))
	assert.Contains(t, p.text("#filter-error"), "^")
	assert.True(t, eval[bool](p, `document.getElementById('filter-error').checkVisibility()`))
	assert.Equal(t, "amount>> 5", eval[string](p, `document.getElementById('filter').value`))
}

// All that a first visit fetches weighs no more than 60 KiB, compressed as
// any server would, in four requests and the stream.
func TestUX14Weight(t *testing.T) {
	s := populated(t)
	for _, path := range []string{"", "tap", "channels"} {
		p := s.tab(path)
		if path == "tap" {
			p.until(isLive)
		}
		p.do(chromedp.WaitReady(chromedp.CSS("h1")))
		urls := make(map[string]bool)
		p.mu.Lock()
		for _, r := range p.requests {
			if !strings.Contains(r.Request.URL, "/events") && r.Type != "Fetch" {
				urls[r.Request.URL] = true
			}
		}
		p.mu.Unlock()
		urls[s.page+"icon.svg"] = true // which the browser fetches when it gets to it
		var all int
		for u := range urls {
			resp, err := s.web.Client().Get(u)
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			require.NoError(t, err)
			require.Equal(t, 200, resp.StatusCode, u)
			var small bytes.Buffer
			z := gzip.NewWriter(&small)
			z.Write(body)
			z.Close()
			t.Logf("%6d B, %5d B gzipped: %s", len(body), small.Len(), strings.TrimPrefix(u, s.page))
			all += small.Len()
		}
		t.Logf("page %q: %.1f KiB in %d requests", path, float64(all)/1024, len(urls))
		assert.LessOrEqual(t, all, 60<<10, path)
		assert.LessOrEqual(t, len(urls), 4, path)
	}
}

// Where there is nothing yet, the page says what to do.
func TestUX35EmptyStates(t *testing.T) {
	s := newSite(t, tap.Look|tap.Payloads)
	p := s.tab("-")
	for _, path := range []string{"", "channels", "subscribers", "slow", "tap"} {
		p.open(s.page + path)
		p.do(chromedp.WaitReady(chromedp.CSS("h1")))
		assert.Greater(t, len(p.text("main")), 60, "page %q says: %s", path, p.text("main"))
	}
	p.open(s.page + "channels")
	assert.Contains(t, p.text("main"), "NewChannel", "the way to a first channel")
	p.open(s.page)
	assert.Contains(t, p.text("#status"), "All well")
}
