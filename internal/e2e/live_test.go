package e2e

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/tap"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What is promised is 200 ms. A machine that runs other tests at the same time
// has seconds in which nothing gets its turn, so that the median of several
// measurements counts, and the best of a few rounds.
const (
	promised = 200 * time.Millisecond
	rounds   = 4
)

// bestMedian measures up to so many rounds until a median is within the limit.
func bestMedian(t *testing.T, limit time.Duration, measure func() []time.Duration) {
	t.Helper()
	best := time.Duration(math.MaxInt64)
	for range rounds {
		took := measure()
		require.NotEmpty(t, took)
		slices.Sort(took)
		median := took[len(took)/2]
		t.Logf("median %v, fastest %v, slowest %v of %d",
			median.Round(time.Millisecond), took[0].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond), len(took))
		if best = min(best, median); best <= limit {
			return
		}
	}
	assert.LessOrEqual(t, best, limit)
}

// From the request for the page to the first event on the screen.
func TestUX15FirstEvent(t *testing.T) {
	s := newSite(t, tap.Look|tap.Payloads)
	background(t, 5*time.Millisecond, func(i int) { earshot.SendEvent(s.srv, "orders.paid", Order{ID: i}) })
	p := s.tab("-")
	p.do(call(page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `
		const look = () => {
			if (document.querySelector('#rows tr[data-seq]')) setTimeout(() => { window.first = performance.now() });
			else requestAnimationFrame(look);
		};
		requestAnimationFrame(look);`}))
	p.open(s.page + "tap?filter=chan:orders.*") // the first time is the browser's own warming up
	bestMedian(t, promised, func() (took []time.Duration) {
		for range 7 {
			p.open(s.page + "tap?filter=chan:orders.*")
			p.until(`window.first`)
			took = append(took, time.Duration(eval[float64](p, `window.first`)*1e6))
		}
		return took
	})
}

// From the call of Send to the frame in which the event's row is painted.
func TestUX16PublishToPixel(t *testing.T) {
	s := newSite(t, tap.Look|tap.Payloads)
	p := s.tap("chan:orders.*", "")
	eval[void](p, `(() => {
		window.painted = {};
		const note = row => {
			const seq = row.dataset && row.dataset.seq;
			if (!seq || painted[seq]) return;
			painted[seq] = -1;
			// The task after the next frame's callbacks runs when that frame has been painted.
			requestAnimationFrame(() => setTimeout(() => { painted[seq] = performance.timeOrigin + performance.now() }));
		};
		new MutationObserver(list => {
			for (const m of list) {
				if (m.type === 'attributes') note(m.target);
				m.addedNodes.forEach(note);
			}
		}).observe(document.getElementById('rows'), {childList: true, subtree: true, attributes: true, attributeFilter: ['data-seq']});
	})()`)
	seq := 0
	bestMedian(t, promised, func() (took []time.Duration) {
		sent := make(map[int]time.Time)
		first := seq + 1
		tick := time.NewTicker(40 * time.Millisecond) // stays below the page's 50 events a second
		defer tick.Stop()
		for range 21 {
			seq++
			sent[seq] = time.Now()
			earshot.SendEvent(s.srv, "orders.paid", Order{ID: seq})
			<-tick.C
		}
		p.until(fmt.Sprintf(`painted[%d] > 0`, seq))
		painted := eval[map[int]float64](p, `painted`)
		for i := first; i <= seq; i++ {
			require.Positive(t, painted[i], "event %d has not been painted", i)
			took = append(took, time.UnixMicro(int64(painted[i]*1000)).Sub(sent[i]))
		}
		return took
	})
}

// The filter of the address is in the field and applies; another typed into
// the field applies too, goes into the address, and is there after a reload.
func TestUX23FilterAndPermalink(t *testing.T) {
	s := newSite(t, tap.Look|tap.Payloads)
	background(t, 20*time.Millisecond, func(i int) {
		earshot.SendEvent(s.srv, "orders.paid", Order{ID: i, Amount: float64(i % 100)})
		earshot.SendEvent(s.srv, "stock.low", Order{ID: i})
	})
	p := s.tap("chan:orders.* amount>50", "500/s")
	assert.Equal(t, "chan:orders.* amount>50", eval[string](p, `document.getElementById('filter').value`))
	assert.Equal(t, "500/s", eval[string](p, `document.getElementById('rate').value`))
	p.until(`document.querySelectorAll('#rows tr[data-seq]').length > 5`)
	assert.Equal(t, []string{"orders.paid"}, eval[[]string](p, `[...new Set([...document.querySelectorAll('#rows tr[data-seq]')].map(r => r.dataset.channel))]`))
	p.until(fmt.Sprintf(`(%s).Filtered > 0`, readCounts)) // of orders half is too small

	p.keys("/")
	p.until(`document.activeElement.id === 'filter'`)
	eval[void](p, `document.activeElement.select()`)
	p.keys("chan:stock.*\r")
	p.until(`new URL(location).searchParams.get('filter') === 'chan:stock.*'`)
	p.until(`document.querySelector('#rows tr[data-channel="stock.low"]')`)
	p.until(isLive)
	p.open(eval[string](p, `location.href`))
	assert.Equal(t, "chan:stock.*", eval[string](p, `document.getElementById('filter').value`))
	assert.Equal(t, "500/s", eval[string](p, `document.getElementById('rate').value`))
	p.until(`document.querySelector('#rows tr[data-channel="stock.low"]')`)
	assert.False(t, eval[bool](p, `!!document.querySelector('#rows tr[data-channel^="orders"]')`))

	eval[void](p, `(() => { const r = document.getElementById('rate'); r.value = '10/s'; r.dispatchEvent(new Event('change', {bubbles: true})) })()`)
	p.until(`new URL(location).searchParams.get('rate') === '10/s'`)
}

// A filter that does not parse is answered with a caret below its fault, and
// the page goes on with the next that does.
func TestUX22BadFilterShowsCaret(t *testing.T) {
	s := newSite(t, tap.Look|tap.Payloads)
	p := s.tap("", "")
	p.expect(`400`)
	p.keys("/")
	p.until(`document.activeElement.id === 'filter'`)
	p.keys("chan:orders.* amount>> 5\r")
	p.until(`document.getElementById('filter-error').textContent.includes('^')`)
	msg := p.text("#filter-error")
	assert.Contains(t, msg, "amount>> 5", "the filter is repeated above its caret")
	assert.True(t, eval[bool](p, `document.getElementById('filter-error').checkVisibility()`))
	assert.Equal(t, "true", eval[string](p, `document.getElementById('filter').getAttribute('aria-invalid') || ''`))
	// A caret means nothing in a proportional font, or when lines are joined.
	assert.Regexp(t, `mono`, eval[string](p, `(() => { let e = document.getElementById('filter-error'); return getComputedStyle(e.querySelector('pre,code') || e).fontFamily })()`))
	assert.Regexp(t, `^(pre|break-spaces)`, eval[string](p, `(() => { let e = document.getElementById('filter-error'); return getComputedStyle(e.querySelector('pre,code') || e).whiteSpace })()`))

	eval[void](p, `document.getElementById('filter').select()`)
	p.keys("chan:orders.*\r")
	p.until(`!document.getElementById('filter-error').checkVisibility() || document.getElementById('filter-error').textContent.trim() === ''`)
	p.until(isLive)
	earshot.SendEvent(s.srv, "orders.paid", Order{ID: 1})
	p.until(`document.querySelector('#rows tr[data-seq="1"]')`)
}
