package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Tab reaches everything that can be clicked, in order, shows where it is, and
// comes round again.
func TestUX24TabThroughEveryPage(t *testing.T) {
	s := populated(t)
	p := s.tab("-")
	p.tourOf(s, func(path string) {
		p.waitForRows(path)
		want := eval[int](p, `(() => {
			const can = [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex], [onclick], [role=button], [role=link]')]
				.filter(e => e.checkVisibility({visibilityProperty: true}) && !e.disabled && e.tabIndex >= 0 && e.type !== 'hidden');
			window.can = new Set(can);
			window.plain = new Map(can.map(e => [e, look(e)]));
			function look(e) { const s = getComputedStyle(e); return [s.outlineStyle, s.outlineWidth, s.boxShadow, s.backgroundColor, s.borderColor, s.textDecorationLine].join() }
			window.look = look;
			window.reached = new Set(); window.dull = [];
			document.activeElement.blur();
			return can.length;
		})()`)
		require.Positive(t, want, path)
		for range want + 20 {
			p.keys(kb.Tab)
			done := eval[bool](p, `(() => {
				const e = document.activeElement;
				if (!e || e === document.body) return reached.size > 0;
				if (reached.has(e)) return true;
				reached.add(e);
				const outlined = [e, e.parentElement].some(e => { // a field may have its frame around it
					const s = getComputedStyle(e); return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 1 });
				if (!outlined && look(e) === plain.get(e)) dull.push(e.outerHTML.slice(0, 120));
				const r = e.getBoundingClientRect();
				if (r.width < 1 || r.height < 1) dull.push('not visible: ' + e.outerHTML.slice(0, 120));
				return false;
			})()`)
			if done {
				break
			}
		}
		missed := eval[[]string](p, `[...can].filter(e => e.isConnected && !reached.has(e)).map(e => e.outerHTML.slice(0, 160))`)
		assert.Empty(t, missed, "%s: the tab key does not reach", path)
		assert.Empty(t, eval[[]string](p, `dull`), "%s: focus cannot be seen on", path)
	})
}

// waitForRows lets a page get to rest.
func (p *tab) waitForRows(path string) {
	p.t.Helper()
	if strings.HasPrefix(path, "page tap") || strings.HasPrefix(path, "page channel?") {
		p.until(isLive)
	}
	p.do(chromedp.WaitReady(chromedp.CSS("h1")))
}

// A visitor without a mouse goes everywhere and does everything.
func TestUX24KeyboardTour(t *testing.T) {
	s := populated(t)
	p := s.tab("")
	at := func(path string) {
		t.Helper()
		p.until(fmt.Sprintf(`document.readyState === 'complete' && location.pathname === %q`, prefix+path))
	}
	for _, step := range []struct{ keys, page string }{
		{"gc", "channels"}, {"gs", "subscribers"}, {"gl", "slow"}, {"gt", "tap"}, {"?", "help"}, {"go", ""},
	} {
		p.keys(step.keys)
		at(step.page)
	}

	// Keys are letters in a field, and keys again when it is left.
	p.keys("gc")
	at("channels")
	p.keys("/")
	p.until(`document.activeElement.matches('input')`)
	p.keys("gs?")
	assert.Equal(t, "gs?", eval[string](p, `document.activeElement.value`))
	at("channels")
	p.keys(kb.Escape)
	p.until(`!document.activeElement.matches('input')`)

	// j and k move, enter opens.
	p.open(s.page + "channels")
	p.keys("jk")
	p.keys("j")
	p.keys(kb.Enter)
	at("channel")

	// The live page: filter, pause, move, open, copy.
	for _, name := range []string{"clipboard-read", "clipboard-write"} {
		_, err := chromedp.CallBrowser(p.ctx, cdpbrowser.SetPermission, cdpbrowser.SetPermissionParams{
			Permission: &cdpbrowser.PermissionDescriptor{Name: name}, Setting: cdpbrowser.PermissionSettingGranted,
			Origin: s.web.URL, BrowserContextID: chromedp.FromContext(p.ctx).BrowserContextID,
		})
		require.NoError(t, err, name)
	}
	p.keys("gt")
	at("tap")
	p.until(isLive)
	p.keys("/")
	p.until(`document.activeElement.id === 'filter'`)
	p.keys("chan:stock.*\r")
	p.until(`new URL(location).searchParams.get('filter') === 'chan:stock.*'`)
	p.until(isLive)
	p.keys(kb.Escape)
	p.until(`document.activeElement.id !== 'filter'`)
	send(s, "stock.low", 1, 5)
	p.until(fmt.Sprintf(`(%s).Rows === 5`, readCounts))
	p.keys(" ")
	p.until(`document.getElementById('pause').getAttribute('aria-pressed') === 'true'`)
	before := len(p.rowsText())
	p.keys("j")
	p.keys("j")
	p.keys(kb.Enter)
	p.until(fmt.Sprintf(`document.getElementById('rows').textContent.length > %d`, before))
	p.keys(".")
	var copied string
	poll(patience, func() bool {
		copied = eval[string](p, `navigator.clipboard.readText()`)
		return copied != ""
	})
	var rec struct {
		Channel string
		Event   Order
	}
	require.NoError(t, json.Unmarshal([]byte(copied), &rec), copied)
	assert.Equal(t, "stock.low", rec.Channel)
	p.keys(" ")
	p.until(isLive)
	p.keys("?")
	at("help")
}

// A screen reader has a name for everything that one can operate, a title, a
// language, one main heading, and a name for each table.
func TestUX25Names(t *testing.T) {
	s := populated(t)
	p := s.tab("-")
	roles := []string{"button", "link", "textbox", "searchbox", "combobox", "checkbox", "radio", "switch", "slider",
		"spinbutton", "listbox", "option", "menuitem", "tab", "grid", "dialog", "img", "image", "columnheader", "form", "navigation", "region"}
	p.tourOf(s, func(path string) {
		p.waitForRows(path)
		if strings.HasPrefix(path, "page tap") {
			send(s, "stock.low", 1, 3)
			p.until(fmt.Sprintf(`(%s).Rows >= 3`, readCounts))
		}
		tree, err := chromedp.Call(p.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
		require.NoError(t, err)
		value := func(v *accessibility.Value) (s string) {
			if v != nil {
				json.Unmarshal(v.Value, &s)
			}
			return s
		}
		count := make(map[string]int)
		for _, n := range tree.Nodes {
			role := value(n.Role)
			if n.Ignored {
				continue
			}
			count[role]++
			// Landmarks need names only where there are two of a kind.
			if name := value(n.Name); strings.TrimSpace(name) == "" && slices.Contains(roles, role) && role != "form" && role != "navigation" {
				assert.Fail(t, "no name", "%s: a %s (node %d)", path, role, n.BackendDOMNodeID)
			}
		}
		assert.Empty(t, eval[[]string](p, `[...document.querySelectorAll('table')].filter(e => e.checkVisibility() && !e.caption && !e.closest('[aria-label], [aria-labelledby]') && !e.closest('section')?.querySelector('h2, h3'))
			.map(e => e.outerHTML.slice(0, 100))`), "%s: tables without a name", path)
		assert.Equal(t, 1, count["main"], "%s: main landmarks", path)
		assert.Positive(t, count["link"]+count["button"], path)
		assert.Equal(t, 1, eval[int](p, `document.querySelectorAll('h1').length`), "%s: h1", path)
		assert.NotEmpty(t, eval[string](p, `document.title`), path)
		assert.NotEmpty(t, eval[string](p, `document.documentElement.lang`), path)
		assert.Empty(t, eval[[]string](p, `[...document.querySelectorAll('[aria-live=assertive], [role=alert]')].filter(e => e.textContent.trim()).map(e => e.outerHTML)`), "%s: interrupts", path)
	})
	assert.Positive(t, eval[int](p, `document.querySelectorAll('[aria-live=polite], [role=status]').length`), "changes are announced somewhere")
}

// contrasts returns every text whose contrast with what is behind it is less
// than WCAG's 4.5, or, for what marks a control's border, is not looked at.
const contrasts = `(() => {
	const canvas = document.createElement('canvas'); canvas.width = canvas.height = 1;
	const ctx = canvas.getContext('2d', {willReadFrequently: true});
	const rgba = c => { ctx.clearRect(0, 0, 1, 1); ctx.fillStyle = '#000'; ctx.fillStyle = c; ctx.fillRect(0, 0, 1, 1);
		const [r, g, b, a] = ctx.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255] };
	const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
	const lin = v => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4 };
	const lum = c => 0.2126 * lin(c[0]) + 0.7152 * lin(c[1]) + 0.0722 * lin(c[2]);
	const ratio = (a, b) => { const [x, y] = [lum(a), lum(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05) };
	const page = () => { // what is painted where nothing else is
		const dark = matchMedia('(prefers-color-scheme: dark)').matches;
		const scheme = getComputedStyle(document.documentElement).colorScheme;
		return /dark/.test(scheme) && (dark || !/light/.test(scheme)) ? [18, 18, 18, 1] : [255, 255, 255, 1] };
	const behind = e => { const layers = []; for (; e; e = e.parentElement) layers.push(rgba(getComputedStyle(e).backgroundColor));
		return layers.reverse().reduce((below, top) => over(top, below), page()) };
	const opacity = e => { let o = 1; for (; e; e = e.parentElement) o *= +getComputedStyle(e).opacity; return o };
	const low = new Map(); let looked = 0;
	const test = (e, color, text) => { looked++;
		const back = behind(e), ink = rgba(color); ink[3] *= opacity(e);
		const r = ratio(over(ink, back), back);
		if (r < 4.5) low.set(e.tagName + '.' + e.className + '#' + e.id + ' ' + color, r.toFixed(2) + ' ' + text.trim().slice(0, 40)) };
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let n; n = walk.nextNode();) {
		const e = n.parentElement;
		if (!n.data.trim() || !e.checkVisibility({visibilityProperty: true}) || e.closest('script, style, noscript, :disabled')) continue;
		const r = e.getBoundingClientRect(); if (r.width < 2 || r.height < 2) continue; // for screen readers only
		test(e, getComputedStyle(e).color, n.data);
	}
	for (const e of document.querySelectorAll('input, textarea')) {
		if (!e.checkVisibility()) continue;
		test(e, getComputedStyle(e).color, e.value || 'field');
		if (e.placeholder) test(e, getComputedStyle(e, '::placeholder').color, e.placeholder);
	}
	return {Looked: looked, Low: [...low].map(x => x.join(' -> '))};
})()`

type contrastResult struct {
	Looked int
	Low    []string
}

// Text can be read: dark and light, chosen by the system or by the button.
func TestUX26Contrast(t *testing.T) {
	s := populated(t)
	p := s.tab("-")
	p.expect(`400`)
	background := make(map[string]string)
	for _, scheme := range []string{"dark", "light"} {
		p.media("prefers-color-scheme", scheme, "prefers-reduced-motion", "reduce")
		look := func(path string) {
			p.waitForRows(path)
			if strings.HasPrefix(path, "page tap") {
				send(s, "stock.low", 1, 3)
				p.until(fmt.Sprintf(`(%s).Rows >= 3`, readCounts))
				eval[void](p, `document.querySelector('#rows tr[data-seq]').click()`)
				p.until(`document.querySelector('#rows tr.detail pre')`)
			}
			got := eval[contrastResult](p, contrasts)
			assert.Greater(t, got.Looked, 5, path)
			assert.Empty(t, got.Low, "%s, %s", scheme, path)
		}
		p.tourOf(s, look)
		p.open(s.page + "tap?filter=amount%3E%3E1")
		p.until(`document.getElementById('filter-error').textContent.includes('^')`)
		assert.Empty(t, eval[contrastResult](p, contrasts).Low, "%s, a wrong filter", scheme)
		background[scheme] = eval[string](p, `getComputedStyle(document.body).backgroundColor + getComputedStyle(document.documentElement).backgroundColor`)
	}
	assert.NotEqual(t, background["dark"], background["light"])

	// Printed, and with more contrast asked for.
	p.do(call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"}))
	p.open(s.page)
	assert.Empty(t, eval[contrastResult](p, contrasts).Low, "print")
}

// The choice of a theme is remembered, against the system's.
func TestUX26ThemeToggle(t *testing.T) {
	s := populated(t)
	p := s.tab("-")
	p.media("prefers-color-scheme", "light")
	p.open(s.page)
	const back = `getComputedStyle(document.body).backgroundColor + getComputedStyle(document.documentElement).backgroundColor`
	light := eval[string](p, back)
	toggle := `[...document.querySelectorAll('button')].find(b => /theme|dark|light/i.test(b.id + b.className + b.textContent + b.title + b.ariaLabel))`
	for range 3 { // system, dark, light in any order
		eval[void](p, toggle+`.click()`)
		if eval[string](p, back) != light {
			break
		}
	}
	dark := eval[string](p, back)
	require.NotEqual(t, light, dark, "the button changes nothing")
	p.open(s.page + "channels")
	assert.Equal(t, dark, eval[string](p, back), "the choice is forgotten")
	assert.Empty(t, eval[contrastResult](p, contrasts).Low)
}

// No page is wider than the window; what is wide scrolls in its own box.
func TestUX27Widths(t *testing.T) {
	s := populated(t)
	long := strings.Repeat("a.very.long.name.", 12) + "x"
	send(s, long, 1, 3)
	p := s.tab("-")
	for _, width := range []int64{360, 768, 1600, 2560} {
		p.viewport(width, 900)
		p.tourOf(s, func(path string) {
			p.waitForRows(path)
			if strings.HasPrefix(path, "page tap") {
				send(s, long, 1, 3)
				p.until(fmt.Sprintf(`(%s).Rows >= 3`, readCounts))
				eval[void](p, `document.querySelector('#rows tr[data-seq]').click()`)
			}
			got := eval[[]int](p, `[document.documentElement.scrollWidth, document.documentElement.clientWidth]`)
			assert.LessOrEqual(t, got[0], got[1], "%s at %d px: wider than the window: %v", path, width, eval[[]string](p, `
				[...document.body.querySelectorAll('*')].filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.parentElement.closest('[class]')?.matches('.never'))
					.slice(0, 5).map(e => e.outerHTML.slice(0, 100))`))
			if width == 360 {
				// WCAG 2.2, 2.5.8: targets of 24 px, or links in text.
				small := eval[[]string](p, `[...document.querySelectorAll('button, select, input:not([type=hidden]), nav a')]
					.filter(e => e.checkVisibility()).filter(e => { const r = e.getBoundingClientRect(); return r.width > 1 && (r.height < 24 || r.width < 24) })
					.map(e => e.outerHTML.slice(0, 100))`)
				assert.Empty(t, small, "%s: too small to hit", path)
			}
		})
	}
}

// The pages can be printed: without what only works on a screen.
func TestUX39Print(t *testing.T) {
	s := populated(t)
	p := s.tab("")
	p.do(call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"}))
	assert.False(t, eval[bool](p, `[...document.querySelectorAll('nav, button')].some(e => e.checkVisibility())`), "buttons and menus on paper")
	assert.True(t, eval[bool](p, `document.querySelector('table').checkVisibility()`))
	pdf, err := chromedp.Call(p.ctx, page.PrintToPDF, page.PrintToPDFParams{})
	require.NoError(t, err)
	assert.Greater(t, len(pdf.Data), 1000)
}
