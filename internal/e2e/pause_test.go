package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/tap"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func send(s *site, channel string, from, to int) {
	for i := from; i <= to; i++ {
		earshot.SendEvent(s.srv, channel, Order{ID: i, Amount: float64(i % 100)})
	}
}

// Whatever the filter, at each moment: seen = shown + filtered + shed, and
// in the end seen is what was sent to the channels that the filter names.
func TestUX45CountsAddUp(t *testing.T) {
	s := newSite(t, tap.Look|tap.Payloads)
	random := rand.New(rand.NewPCG(3, 45))
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	p := s.tab("-")
	for range 12 {
		filter := strings.TrimSpace(strings.Join([]string{
			pick("", "", "chan:orders.*", "chan:stock.*", "chan:orders.* chan:stock.low", "-chan:debug.*"),
			pick("", "", "type:Order", "-type:Order", "type:Ord*"),
			pick("", "amount>50", "amount<=10", "id!=7", "customer~^A", "-amount=3", `"ann"`, "/b.b/"),
			pick("", "", "", "1/10", "rate:20/s"),
		}, " "))
		rate := pick("10/s", "50/s", "500/s", "all")
		t.Run(filter+" "+rate, func(t *testing.T) {
			p.t = t
			defer func() { p.t = s.t }()
			p.open(s.page + tapPath(filter, rate))
			p.until(isLive)
			p.watchSum()
			f := parse(t, filter)
			expected := int64(0)
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for i := range 1500 {
				channel := pick("orders.paid", "orders.sent", "stock.low", "debug.noise")
				if f.Channel(channel) {
					expected++
				}
				earshot.SendEvent(s.srv, channel, Order{ID: i, Amount: float64(i % 100), Customer: pick("Ann", "Bob", "")})
				if i%100 == 0 {
					if random.IntN(3) == 0 {
						p.keys(" ")
					}
					<-tick.C
				}
			}
			p.until(fmt.Sprintf(`(%s).Seen === %d`, readCounts, expected))
			if eval[string](p, `document.getElementById('pause').getAttribute('aria-pressed')`) == "true" {
				p.keys(" ")
			}
			p.until(fmt.Sprintf(`(%s).Held === 0`, readCounts))
			c, sums := p.counts(), p.sums()
			assert.Equal(t, expected, c.Seen)
			assert.Equal(t, c.Seen, c.Shown+c.Filtered+c.Shed)
			assert.Greater(t, sums.Looks, 5)
			assert.Empty(t, sums.Wrong, "in %d looks", sums.Looks)
			assert.LessOrEqual(t, c.Rows, 500)
		})
	}
}

// While paused nothing moves but the numbers; then all that was held is there,
// in the order of sending.
func TestUX18Pause(t *testing.T) {
	for _, how := range []string{"button", "space"} {
		t.Run(how, func(t *testing.T) {
			s := newSite(t, tap.Look|tap.Payloads)
			p := s.tap("chan:orders.*", "all")
			p.watchSum()
			toggle := func() {
				if how == "space" {
					p.keys(" ")
				} else {
					p.do(chromedp.Click(chromedp.ID("pause")))
				}
			}
			send(s, "orders.paid", 1, 20)
			p.until(fmt.Sprintf(`(%s).Rows === 20`, readCounts))
			before := p.seqs()

			toggle()
			p.until(`document.getElementById('pause').getAttribute('aria-pressed') === 'true'`)
			p.until(`document.getElementById('conn').textContent.includes('paused')`)
			send(s, "orders.paid", 21, 120)
			p.until(fmt.Sprintf(`(%s).Held === 100`, readCounts))
			assert.Equal(t, before, p.seqs(), "rows move while paused")
			p.until(fmt.Sprintf(`(%s).Seen === 120`, readCounts))
			assert.Equal(t, counts{Seen: 120, Shown: 120, Held: 100, Rows: 20}, p.counts())

			toggle()
			p.until(fmt.Sprintf(`(%s).Rows === 120`, readCounts))
			assert.Equal(t, counts{Seen: 120, Shown: 120, Rows: 120}, p.counts())
			got := p.seqs()
			want := make([]int, 120)
			for i := range want {
				want[i] = i + 1
			}
			if got[0] > got[len(got)-1] { // newest first is as good
				slices.Reverse(got)
			}
			assert.Equal(t, want, got)
			assert.Empty(t, p.sums().Wrong)
		})
	}
}

// What a pause cannot hold is counted as shed, and said in a row of its own.
func TestUX18PauseOverflows(t *testing.T) {
	s := newSite(t, tap.Look|tap.Payloads)
	p := s.tap("chan:orders.*", "all")
	p.watchSum()
	p.keys(" ")
	p.until(`document.getElementById('pause').getAttribute('aria-pressed') === 'true'`)
	for i := 1; i <= 2500; i += 50 { // in pieces that the server has no reason to shed
		send(s, "orders.paid", i, i+49)
		p.until(fmt.Sprintf(`(%s).Seen === %d`, readCounts, i+49))
	}
	c := p.counts()
	require.LessOrEqual(t, c.Held, int64(1000))
	assert.Equal(t, c.Seen, c.Shown+c.Filtered+c.Shed)
	assert.GreaterOrEqual(t, c.Shed, int64(1500))
	p.keys(" ")
	p.until(fmt.Sprintf(`(%s).Held === 0`, readCounts))
	after := p.counts()
	assert.Equal(t, c.Seen, after.Shown+after.Filtered+after.Shed)
	assert.LessOrEqual(t, after.Rows, 500)
	seqs := p.seqs()
	assert.Contains(t, seqs, 2500)
	assert.True(t, slices.IsSorted(seqs) || slices.IsSortedFunc(seqs, func(a, b int) int { return b - a }))
	assert.Empty(t, p.sums().Wrong)
}

// Selecting text is reading: rows must not move away below the pointer. The
// page goes on by itself when the selection is gone.
func TestUX18AutomaticPause(t *testing.T) {
	s := newSite(t, tap.Look|tap.Payloads)
	p := s.tap("chan:orders.*", "all")
	send(s, "orders.paid", 1, 10)
	p.until(fmt.Sprintf(`(%s).Rows === 10`, readCounts))
	eval[void](p, `getSelection().selectAllChildren(document.querySelector('#rows tr[data-seq]'))`)
	p.until(`document.getElementById('conn').textContent.includes('paused')`)
	send(s, "orders.paid", 11, 30)
	p.until(fmt.Sprintf(`(%s).Held === 20`, readCounts))
	assert.Len(t, p.seqs(), 10)
	assert.Positive(t, eval[int](p, `getSelection().toString().length`), "the selection is kept")
	eval[void](p, `getSelection().removeAllRanges()`)
	p.until(fmt.Sprintf(`(%s).Rows === 30`, readCounts))
	p.until(isLive)
}

// A tab that is out of sight paints nothing, and has what was held when it
// comes back.
func TestUX19HiddenTab(t *testing.T) {
	s := newSite(t, tap.Look|tap.Payloads)
	p := s.tap("chan:orders.*", "all")
	send(s, "orders.paid", 1, 10)
	p.until(fmt.Sprintf(`(%s).Rows === 10`, readCounts))
	p.hide(true)
	send(s, "orders.paid", 11, 40)
	p.until(fmt.Sprintf(`(%s).Held === 30`, readCounts))
	assert.Len(t, p.seqs(), 10)
	p.hide(false)
	p.until(fmt.Sprintf(`(%s).Rows === 40`, readCounts))
	c := p.counts()
	assert.Equal(t, counts{Seen: 40, Shown: 40, Rows: 40}, c)
	p.until(isLive)
}

// hide makes the page believe that it is out of sight, or back. A headless
// browser has no windows that could cover each other.
func (p *tab) hide(hidden bool) {
	p.t.Helper()
	state := map[bool]string{true: "hidden", false: "visible"}[hidden]
	eval[void](p, fmt.Sprintf(`(() => {
		Object.defineProperty(document, 'hidden', {configurable: true, get: () => %v});
		Object.defineProperty(document, 'visibilityState', {configurable: true, get: () => %q});
		document.dispatchEvent(new Event('visibilitychange'));
	})()`, hidden, state))
}
