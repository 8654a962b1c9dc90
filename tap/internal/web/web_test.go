package web_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/tap/internal/web"
	"github.com/earshot-go/earshot/tap/panel"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// queues is a view with a value of each kind.
func queues() panel.View {
	return panel.View{
		Title: "Queues", Status: panel.Warn, Summary: "mail is behind.",
		Tables: []panel.Table{{
			Name: "queues", Title: "Queues", Doc: "Those that were used.", Empty: "No queue yet. Push makes one.",
			Columns: []panel.Column{
				{Key: "name", Label: "Queue", Kind: panel.Code, Dim: true},
				{Key: "doc", Kind: panel.Text},
				{Key: "depth", Label: "Waiting", Kind: panel.Count, Metric: "queue_depth", Doc: "Jobs that wait."},
				{Key: "rate", Label: "Rate", Kind: panel.Rate},
				{Key: "oldest", Label: "Oldest", Kind: panel.Seconds, Metric: "queue_oldest_seconds"},
				{Key: "last", Label: "Last", Kind: panel.Time},
				{Key: "bytes", Label: "Size", Kind: panel.Bytes},
				{Key: "paused", Label: "Paused", Kind: panel.Flag},
			},
			Rows: [][]any{
				{panel.Link{Text: "mail", Page: "queue", Query: url.Values{"name": {"mail"}}}, "letters", uint64(1<<63 + 1), 12.25, 1500 * time.Millisecond, noon.Add(-90 * time.Second), 2048, true},
				{panel.Link{Text: "refunds", Page: "queue", Query: url.Values{"name": {"refunds"}}}, nil, 0, 0.0, nil, time.Time{}, nil, false},
			},
		}},
	}
}

func render(t *testing.T, f web.Frame) string {
	t.Helper()
	var b strings.Builder
	if f.Now.IsZero() {
		f.Now = noon
	}
	require.NoError(t, web.HTML(&b, f))
	return b.String()
}

func TestAPageSaysWhatTheViewSays(t *testing.T) {
	t.Parallel()

	page := render(t, web.Frame{
		Page: "queues", View: queues(), Access: "read-only, payloads hidden", Version: "v1.2.3",
		Menu: []web.Item{{Name: "", Title: "Overview"}, {Name: "queues", Title: "Queues"}},
	})
	for _, want := range []string{
		`<title>▲ Queues · earshot</title>`,
		`data-status="warn"`, `id="status" class="say">mail is behind.</span>`,
		`<a href="./queues" aria-current="page">Queues</a>`, `<a href="./">Overview</a>`,
		`read-only, payloads hidden`, `earshot v1.2.3`, `href="./queues.json"`,
		`<section id="queues"><h2 class="sr">Queues</h2>`, `Those that were used.`,
		`<tr data-key="mail">`, `<td class="code"><a href="./queue?name=mail"><bdi>mail</bdi></a></td>`,
		`<td class="n"><data value="9223372036854775809">9,223,372,036,854,775,809</data></td>`,
		`<data value="12.25">12/s</data>`, `<data value="1.5">1.50 s</data>`,
		`<time datetime="2026-11-21T11:58:30Z" title="2026-11-21 11:58:30.000 UTC">1 m 30 s ago</time>`,
		`<data value="2048">2.0 KiB</data>`, `<td>yes</td>`, `<td class="z">no</td>`,
		`<td class="n z"><data value="0">0</data></td>`, `<td class="n z">–</td>`, // 0 and unknown are two things
		`title="Jobs that wait."`,
	} {
		assert.Contains(t, page, want)
	}
}

func TestWhatThePageIsAboutIsMarkedInTheMenu(t *testing.T) {
	t.Parallel()

	menu := []web.Item{{Name: "", Title: "Overview"}, {Name: "channels", Title: "Channels"}}
	assert.Contains(t, render(t, web.Frame{Page: "channel", Menu: menu}), `<a href="./channels" aria-current="page">`)
	assert.Contains(t, render(t, web.Frame{Page: "", Menu: menu}), `<a href="./" aria-current="page">`)
	assert.NotContains(t, render(t, web.Frame{Page: "other", Menu: menu}), `aria-current`)
}

func TestNoRowsSaysWhatToDoNext(t *testing.T) {
	t.Parallel()

	v := queues()
	v.Tables[0].Rows = nil
	page := render(t, web.Frame{Page: "queues", View: v})
	assert.Contains(t, page, `<p class="empty">No queue yet. Push makes one.</p>`)
	assert.NotContains(t, page, "<tbody>")

	page = render(t, web.Frame{Page: "queues", View: queues(), Query: url.Values{"q": {"ghost"}}})
	assert.Contains(t, page, `No name here contains “<bdi>ghost</bdi>”. <a href="./queues">Show all 2</a>`)
}

func TestHeadingsSortOnTheServer(t *testing.T) {
	t.Parallel()

	q := url.Values{"q": {"m"}, "page": {"3"}}
	page := render(t, web.Frame{Page: "queues", View: queues(), Query: q})
	assert.Contains(t, page, `href="./queues?q=m&amp;sort=name"`, "names from a to z, from the first page")
	assert.Contains(t, page, `href="./queues?q=m&amp;sort=-depth"`, "numbers from the largest")

	page = render(t, web.Frame{Page: "queues", View: queues(), Query: url.Values{"sort": {"-depth"}}})
	assert.Contains(t, page, `aria-sort="descending"><a data-soft href="./queues?sort=depth"`)
	page = render(t, web.Frame{Page: "queues", View: queues(), Query: url.Values{"sort": {"name"}}})
	assert.Contains(t, page, `aria-sort="ascending"><a data-soft href="./queues?sort=-name"`)

	two := queues()
	two.Tables = append(two.Tables, two.Tables[0])
	page = render(t, web.Frame{Page: "queues", View: two})
	assert.Contains(t, page, `href="./queues?sort=-queues.depth"`, "with several tables it is said which")
}

func TestLongTablesArePaged(t *testing.T) {
	t.Parallel()

	v := panel.View{Tables: []panel.Table{{Name: "n", Columns: []panel.Column{{Key: "i", Kind: panel.Count}}}}}
	for i := range 1001 {
		v.Tables[0].Rows = append(v.Tables[0].Rows, []any{i})
	}
	page := render(t, web.Frame{Page: "n", View: v})
	assert.Equal(t, web.PageRows, strings.Count(page, "<tr data-key"))
	assert.Contains(t, page, `<span>1–200 of 1,001</span><a data-soft rel="next" href="./n?page=2">`)

	page = render(t, web.Frame{Page: "n", View: v, Query: url.Values{"page": {"99"}, "sort": {"-i"}}})
	assert.Contains(t, page, `<span>1,001–1,001 of 1,001</span><a data-soft rel="prev" href="./n?page=5&amp;sort=-i">`)
	assert.Contains(t, page, `<data value="0">`)

	v.Tables[0].Rows, v.Tables[0].Total = v.Tables[0].Rows[:3], 4000
	assert.Contains(t, render(t, web.Frame{Page: "n", View: v}), `<span>1–3 of 4,000</span>`)
	v.Tables[0].Total = 0
	assert.NotContains(t, render(t, web.Frame{Page: "n", View: v}), "pager")
}

func TestFactsAreAList(t *testing.T) {
	t.Parallel()

	v := panel.View{Tables: []panel.Table{{
		Name: "totals", Facts: true,
		Columns: []panel.Column{{Key: "sent", Label: "Sent", Kind: panel.Count}, {Key: "rate", Label: "Rate", Kind: panel.Rate}},
		Rows:    [][]any{{12, nil}},
	}}}
	page := render(t, web.Frame{View: v, Query: url.Values{"q": {"zzz"}}})
	assert.Contains(t, page, `<dl class="facts figures"><div data-key="sent" data-kind="count" class="n"><dt>Sent</dt><dd><data value="12">12</data></dd></div>`)
	assert.Contains(t, page, `<dd>–</dd>`)
}

func TestATapWithoutScriptSaysWhatIsWrong(t *testing.T) {
	t.Parallel()

	f := web.Frame{Page: "tap", Tap: &web.Tap{
		Filter: "chan:a amount>", Rate: "7/s",
		Problem: "a value is missing\n\tchan:a amount>\n\t             ^", Hint: "write amount>100",
	}}
	var b strings.Builder
	require.NoError(t, web.TapHTML(&b, f))
	page := b.String()
	assert.Contains(t, page, `value="chan:a amount&gt;"`)
	assert.Contains(t, page, `role="alert"><pre>a value is missing`+"\n\tchan:a amount&gt;\n\t             ^</pre><p>write amount&gt;100</p>")
	assert.Contains(t, page, `aria-invalid="true"`)
	assert.Contains(t, page, `<option value="7/s" selected>`)
	for _, id := range []string{"tap", "seen", "shown", "filtered", "shed", "held", "pause", "filter", "filter-error", "rate", "save", "rows", "conn"} {
		assert.Equal(t, 1, strings.Count(page, ` id="`+id+`"`), id)
	}

	b.Reset()
	require.NoError(t, web.TapHTML(&b, web.Frame{Page: "tap", Tap: &web.Tap{Filter: "err", Payloads: true}}))
	assert.Contains(t, b.String(), `href="./events.ndjson?count=20&amp;filter=err"`, "there is a way without the script")
	assert.Contains(t, b.String(), `role="alert" hidden>`)
	assert.Contains(t, b.String(), `<option value="50/s" selected>`)
	assert.NotContains(t, b.String(), "Payloads are hidden")

	b.Reset()
	require.NoError(t, web.TapHTML(&b, web.Frame{Page: "tap"}))
	assert.Contains(t, b.String(), "<h1>Tap</h1>")
	assert.Contains(t, b.String(), "Payloads are hidden")
}

func TestTheTapOfAChannelKeepsTheChannel(t *testing.T) {
	t.Parallel()

	page := render(t, web.Frame{
		Page: "channel", View: queues(), Query: url.Values{"name": {"orders.paid"}, "filter": {"err"}},
		Tap: &web.Tap{Filter: "err", Fixed: "chan:orders.paid"},
	})
	assert.Contains(t, page, `data-fixed="chan:orders.paid"`)
	assert.Contains(t, page, `<input type="hidden" name="name" value="orders.paid">`)
	assert.NotContains(t, page, `<input type="hidden" name="filter"`)
	assert.Contains(t, page, `href="./events.ndjson?count=20&amp;filter=chan%3Aorders.paid+err"`)
	assert.Less(t, strings.Index(page, `id="view"`), strings.Index(page, `id="rows"`))
	assert.NotContains(t, page, `id="q"`, "one field to type into is enough")
	assert.Contains(t, render(t, web.Frame{Page: "queues", View: queues()}), `id="q"`)
}

func TestAnErrorIsAPage(t *testing.T) {
	t.Parallel()

	var b strings.Builder
	require.NoError(t, web.ErrorHTML(&b, web.Frame{Menu: []web.Item{{"", "Overview"}}}, 404, `there is no channel "x"`, "see the list"))
	assert.Contains(t, b.String(), `data-error="404"`)
	assert.Contains(t, b.String(), `>there is no channel &#34;x&#34;</h1><p class="hint">see the list</p>`)
	assert.NotContains(t, b.String(), ".json")

	// Who may see nothing is not sent for files that are refused as well.
	b.Reset()
	require.NoError(t, web.ErrorHTML(&b, web.Frame{}, 403, "<not> allowed", "ask"))
	assert.Contains(t, b.String(), `>&lt;not&gt; allowed</h1><p>ask</p>`)
	assert.NotContains(t, b.String(), "app.js")
	assert.NotContains(t, b.String(), "style.css")
}

func TestHelpExplainsEveryWordOfTheAccounts(t *testing.T) {
	t.Parallel()

	var b strings.Builder
	require.NoError(t, web.HelpHTML(&b, web.Frame{Page: "help"}))
	for _, want := range []string{
		"seen", "shown", "filtered", "shed", "gap", "offered", "received", "missed", "discarded", "depth, high water",
		"oldest", "capacity", "overflow", "mismatched", "slow", "tapped",
	} {
		assert.Contains(t, b.String(), "<dt>"+want+"</dt>", want)
	}
	for _, term := range []string{"chan:", "-chan:", "type:", "amount&gt;100", "took&gt;20ms", "~", "err", "rate:50/s", "1/10", "<kbd>/</kbd>", "<kbd>space</kbd>"} {
		assert.Contains(t, b.String(), term, term)
	}
}

func TestAWriterThatFailsIsReported(t *testing.T) {
	t.Parallel()

	assert.ErrorIs(t, web.HTML(broken{}, web.Frame{}), errBroken)
	assert.ErrorIs(t, web.TapHTML(broken{}, web.Frame{}), errBroken)
	assert.ErrorIs(t, web.HelpHTML(broken{}, web.Frame{}), errBroken)
	assert.ErrorIs(t, web.ErrorHTML(broken{}, web.Frame{}, 500, "", ""), errBroken)
	assert.ErrorIs(t, web.JSON(broken{}, panel.View{}), errBroken)
	assert.ErrorIs(t, web.Metrics(broken{}, queues()), errBroken)
}
