package web

import (
	"maps"
	"net/url"
	"slices"
)

// rates are the choices of the live tap. "all" is no limit.
var rates = []string{"10/s", DefaultRate, "500/s", "all"}

// tap writes the filter bar, the equation and the table that the script
// fills. The form works without the script: it leads to the same URL, which
// shows what is wrong with a filter.
func (p *page) tap(f *Frame) {
	t := f.Tap
	p.raw(`<form class="bar" id="tap" method="get"`)
	p.attr("action", address(f.Page, nil))
	p.attr("data-fixed", t.Fixed)
	p.raw(`>`)
	p.hidden(f.Query, "filter", "rate", "page")
	p.raw(`<label class="sr" for="filter">Filter</label><span class="field">`)
	if t.Fixed != "" {
		p.raw(`<code class="fixed"><bdi>`)
		p.text(t.Fixed)
		p.raw(`</bdi></code>`)
	}
	p.raw(`<input id="filter" name="filter" type="text" maxlength="4096" autocomplete="off" autocapitalize="off" autocorrect="off" spellcheck="false" enterkeyhint="go" aria-keyshortcuts="/" aria-describedby="filter-error"`)
	if t.Fixed == "" {
		p.raw(` placeholder="chan:orders.* amount&gt;100 -chan:debug.*"`)
	} else {
		p.raw(` placeholder="amount&gt;100 err"`)
	}
	if t.Problem != "" {
		p.raw(` aria-invalid="true"`)
	}
	p.attr("value", t.Filter)
	p.raw(`></span><label class="rate"><span>at most</span> <select id="rate" name="rate">`)
	chosen := t.Rate
	if chosen == "" {
		chosen = DefaultRate
	}
	if !slices.Contains(rates, chosen) {
		p.option(chosen, chosen)
	}
	for _, r := range rates {
		p.option(r, chosen)
	}
	p.raw(`</select></label><button type="submit">Apply</button></form>
<div class="problem" id="filter-error" role="alert"`)
	if t.Problem == "" {
		p.raw(` hidden`)
	}
	p.raw(`><pre>`)
	p.lines(t.Problem)
	p.raw(`</pre><p>`)
	p.text(t.Hint)
	p.raw(`</p></div>
<noscript><p class="empty">The live part needs JavaScript. `)
	if t.Problem == "" {
		p.raw(`Without it: <a`)
		p.link("events.ndjson", streamQuery(t))
		p.raw(`>the next 20 events as lines</a>.`)
	}
	p.raw(`</p></noscript>
<div class="js ledgers"><p class="ledger" id="ledger"><span><i>seen</i><b id="seen">0</b></span><em>=</em><span><i>shown</i><b id="shown">0</b></span><em>+</em><span><i>filtered</i><b id="filtered">0</b></span><em>+</em><span><i>shed</i><b id="shed">0</b></span></p><p class="held" id="holding" hidden>holding <b id="held">0</b></p>
<p class="acts"><button type="button" id="save" title="The rows of this page as NDJSON">Save</button><button type="button" id="curl" title="Copy a curl line for this stream">Copy curl</button><button type="button" id="cli" title="Copy an earshot command for this stream">Copy command</button><button type="button" id="clear">Clear</button></p></div>
`)
	if !t.Payloads {
		p.raw(`<p class="doc" id="payloads">Payloads are hidden: a row shows the size of its event. The program may permit more, see <a href="./help#access">Help</a>.</p>`)
	}
	p.raw(`<div class="scroll js" role="region" tabindex="0" aria-label="Events, the newest first"><table class="events"><thead><tr><th scope="col">Time <small>UTC</small></th><th scope="col">Channel</th><th scope="col">Type</th><th scope="col" class="n">Size</th><th scope="col">Event</th></tr></thead><tbody id="rows"></tbody></table></div>
<p class="js empty" id="quiet">Listening. Nothing has matched yet.</p><p class="js sr" id="spoken" role="status"></p>`)
}

func (p *page) option(rate, chosen string) {
	p.raw(`<option`)
	p.attr("value", rate)
	if rate == chosen {
		p.raw(` selected`)
	}
	p.raw(`>`)
	p.text(rate)
	p.raw(`</option>`)
}

func streamQuery(t *Tap) url.Values {
	q := url.Values{"count": {"20"}}
	switch {
	case t.Fixed != "" && t.Filter != "":
		q.Set("filter", t.Fixed+" "+t.Filter)
	case t.Fixed+t.Filter != "":
		q.Set("filter", t.Fixed+t.Filter)
	}
	if t.Rate != "" && t.Rate != "all" {
		q.Set("rate", t.Rate)
	}
	return q
}

func sortedKeys(q url.Values) []string { return slices.Sorted(maps.Keys(q)) }
