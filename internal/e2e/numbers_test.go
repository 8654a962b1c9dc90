package e2e

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/tap"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// When nothing is under way, the page, its JSON twin, the metrics and the Go
// API say the same numbers.
func TestUX34OneTruth(t *testing.T) {
	s := newSite(t, tap.Look)
	ctx, cancel := context.WithCancel(t.Context())
	var refs []earshot.Ref
	for i, name := range []string{"orders.paid", "orders.sent", "stock.low"} {
		ref, err := earshot.NewChannel[Order](s.srv, name, nil).Handle(ctx, func(context.Context, earshot.Message[Order]) error { return nil }, nil)
		require.NoError(t, err)
		refs = append(refs, ref)
		send(s, name, 1, 1234*(i+1))
	}
	defer func() {
		cancel()
		for _, ref := range refs {
			<-s.srv.Monitor(ref)
		}
	}()
	require.NoError(t, s.srv.Sync(t.Context()))
	p := s.tab("channels")
	var twin struct {
		Channels []struct {
			Channel string
			Sent    uint64
		}
	}
	s.json("channels.json", &twin)
	_, metrics := s.get("metrics")
	got := 0
	for c := range s.srv.Channels() {
		name := fmt.Sprint(c.Name)
		if strings.HasPrefix(name, "earshot.") {
			continue
		}
		got++
		for _, row := range twin.Channels {
			if row.Channel == name {
				assert.Equal(t, c.Sent, row.Sent, "JSON, %s", name)
			}
		}
		m := regexp.MustCompile(`(?m)^earshot_\w*sent\w*\{[^}]*channel="` + regexp.QuoteMeta(name) + `"[^}]*\} (\d+)$`).FindStringSubmatch(metrics)
		if assert.NotNil(t, m, "no metric for what was sent to %s in\n%s", name, metrics) {
			assert.Equal(t, strconv.FormatUint(c.Sent, 10), m[1], "metrics, %s", name)
		}
		cells := eval[[]string](p, `[...[...document.querySelectorAll('main tbody tr')].find(tr => tr.textContent.includes(`+quote(name)+`)).cells].map(c => c.textContent.replace(/[^0-9]/g, ''))`)
		assert.Contains(t, cells, strconv.FormatUint(c.Sent, 10), "page, %s", name)
	}
	assert.Equal(t, 3, got)
}

// stuckHere makes a subscriber that waits for release. The line of the Handle
// call is the one the page must name.
func stuckHere(t *testing.T, s *site, release <-chan struct{}) (site string) {
	ref, err := earshot.NewChannel[Order](s.srv, "orders.paid", nil).Handle(context.Background(), func(ctx context.Context, _ earshot.Message[Order]) error {
		select {
		case <-release:
		case <-ctx.Done():
		}
		return nil
	}, nil)
	require.NoError(t, err)
	t.Cleanup(func() { s.srv.Unsubscribe(ref); <-s.srv.Monitor(ref) })
	for sub := range s.srv.Subscriptions() {
		if sub.Ref == ref {
			site = sub.Site
		}
	}
	return site
}

// A subscriber that is stuck is named with its line in the program a second
// later, in words, on every page that is open; and all is well when it goes on.
func TestUX36SlowSubscriber(t *testing.T) {
	s := newSite(t, tap.Look)
	release := make(chan struct{})
	at := stuckHere(t, s, release)
	require.Contains(t, at, "numbers_test.go:")
	line := at[strings.LastIndexByte(at, '/')+1:]
	p := s.tab("")
	p.until(`document.getElementById('status').textContent.includes('All well')`)
	slow := p.sibling()
	slow.open(s.page + "slow")
	began := time.Now()
	send(s, "orders.paid", 1, 20)
	p.until(`document.getElementById('status').textContent.includes(` + quote(line) + `)`)
	t.Logf("named after %v: %s", time.Since(began).Round(10*time.Millisecond), p.text("#status"))
	assert.Less(t, time.Since(began), 5*time.Second)
	slow.until(`document.querySelector('main table').textContent.includes(` + quote(line) + `)`)
	close(release)
	p.until(`document.getElementById('status').textContent.includes('All well')`)
	slow.until(`[...document.querySelectorAll('main table')].at(-1).textContent.includes(` + quote(line) + `)`) // in the past
}

// Tables are brought up to date in place: focus, and text that is selected,
// stay where they are.
func TestTablesRefresh(t *testing.T) {
	s := populated(t)
	p := s.tab("channels")
	const sent = `[...[...document.querySelectorAll('main tbody tr')].find(tr => tr.textContent.includes('orders.paid')).cells].map(c => c.textContent.trim())`
	before := eval[[]string](p, sent)
	eval[void](p, `(() => { window.link = [...document.querySelectorAll('main tbody a')].find(a => a.textContent.includes('orders.paid')); link.focus(); scrollTo(0, 10) })()`)
	send(s, "orders.paid", 1, 7000)
	p.until(`JSON.stringify(` + sent + `) !== ` + quote(jsonOf(before)))
	assert.True(t, eval[bool](p, `document.activeElement && document.activeElement.textContent.includes('orders.paid')`), "focus is lost")
	eval[void](p, `getSelection().selectAllChildren(document.querySelector('main tbody tr'))`)
	p.until(`document.getElementById('conn').textContent.includes('paused')`)
	text := eval[string](p, `getSelection().toString()`)
	held := jsonOf(eval[[]string](p, sent))
	send(s, "orders.paid", 1, 7000)
	other := s.tab("channels") // which goes on, and tells when this one would have
	other.refreshed()
	other.refreshed()
	assert.Equal(t, text, eval[string](p, `getSelection().toString()`), "the selection is lost")
	eval[void](p, `getSelection().removeAllRanges()`)
	p.until(`JSON.stringify(` + sent + `) !== ` + quote(held))
}

// A table page whose server is gone says so, and recovers.
func TestTablesSayWhenTheConnectionIsLost(t *testing.T) {
	g := &program{t: t}
	g.start()
	defer func() { g.end() }()
	p := newTab(t, "http://"+g.addr)
	p.expect(`ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|ERR_SOCKET_NOT_CONNECTED|ERR_INCOMPLETE`)
	p.open("http://" + g.addr + prefix + "channels")
	const lost = `[...document.querySelectorAll('body *')].some(e => e.checkVisibility() && e.children.length === 0 && /connection lost/i.test(e.textContent))`
	assert.False(t, eval[bool](p, lost))
	g.end()
	p.until(lost)
	g.start()
	p.until(`!(` + lost + `)`)
}

// Times are the server's. A browser whose clock is an hour wrong shows no
// negative age.
func TestUX37ClockSkew(t *testing.T) {
	s := populated(t)
	for _, hours := range []int{-1, 1} {
		p := s.tab("-")
		p.skew(time.Duration(hours) * time.Hour)
		p.tourOf(s, func(path string) {
			if strings.HasSuffix(path, " help") {
				return
			}
			p.waitForRows(path)
			if strings.HasPrefix(path, "page tap") {
				send(s, "stock.low", 1, 3)
				p.until(fmt.Sprintf(`(%s).Rows >= 3`, readCounts))
			}
			p.refreshed()
			assert.NotRegexp(t, `(^|\s)[-−]\d+(\.\d+)?\s*(ms|s|m|h|d|min)\b`, eval[string](p, `document.body.innerText`), path)
		})
	}
}

func jsonOf(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = quote(s)
	}
	return "[" + strings.Join(quoted, ",") + "]"
}
