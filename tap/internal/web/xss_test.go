package web_test

import (
	"errors"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/tap/internal/web"
	"github.com/earshot-go/earshot/tap/panel"
)

var errBroken = errors.New("broken pipe")

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errBroken }

// evil are strings that break pages which escape badly.
var evil = []string{
	`<script>alert(1)</script>`, `</script><script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`,
	`" autofocus onfocus="alert(1)`, "` onload=`alert(1)", `javascript:alert(1)`, `JaVaScRiPt:alert(1)//`, `//evil.example/x`, `https://evil.example/`,
	`data:text/html,<script>alert(1)</script>`, `../../../etc/passwd`, `..`, `.`, `?a=b#c`, `#"><svg/onload=alert(1)>`,
	`&lt;script&gt;alert(1)&lt;/script&gt;`, `&#x3c;script&#x3e;`, `&quot;&apos;&amp;`, `<!--`, `-->`, `<![CDATA[`, `]]>`, `</title><h1>`, `</textarea>`, `</pre>`,
	`<a href="x">`, `<math><mtext></form><form><mglyph><style>`, `<style>*{display:none}</style>`, `<base href=//evil>`, `<meta http-equiv=refresh content=0>`, `{{.}}`, `${7*7}`,
	"a\x00b", "a\x00<b", "\xff\xfe<x>", "\xc0\xbcscript\xc0\xbe", "\xed\xa0\x80", "line\nfeed\r\nreturn\ttab", "\x1b[31mred\x1b]0;title\x07", "\u009b31m",
	"\u202egpj.exe", "\u2066\u2069", "\u2028\u2029", "\ufeff", "\U000e0041\U000e007f", "<\u0338script>", "＜script＞", "+ADw-script+AD4-",
	strings.Repeat("<", 300), strings.Repeat("\"'", 300), "مخزون", "👩‍👩‍👧", "",
}

// pagesOf puts the string everywhere where one from outside can come.
func pagesOf(t testing.TB, s string) map[string]string {
	t.Helper()
	view := panel.View{Title: s, Summary: s, Tables: []panel.Table{
		{
			Name: s, Title: s + ".", Doc: s + ".", Empty: s,
			Columns: []panel.Column{
				{Key: s, Label: s + ".", Doc: s + ".", Kind: panel.Code}, {Key: s, Kind: panel.Text}, {Key: s, Kind: panel.Count}, {Key: s, Kind: panel.Text},
				{Key: s, Kind: panel.Flag}, {Key: s, Kind: panel.Time}, {Key: s, Kind: panel.Text}, {Key: s, Kind: panel.Text},
			},
			Rows: [][]any{{
				panel.Link{Text: s, Page: s, Query: url.Values{s: {s}}}, s, s, errors.New(s),
				stringer(s), time.Unix(1, 0).In(time.FixedZone(s, 60)), []string{s}, &panel.Link{Text: s, Page: s},
			}},
		},
		{Name: "empty", Empty: s + "."},
		{Name: s, Facts: true, Columns: []panel.Column{{Key: s, Label: s, Doc: s, Kind: panel.Code}, {Key: s, Kind: panel.Text}}, Rows: [][]any{{s, panel.Link{Text: s, Page: s}}}},
	}}
	f := web.Frame{
		Page: s + ".", Menu: []web.Item{{Name: s, Title: s}}, View: view, Access: s + ".", Version: s + ".", Now: noon,
		Query: url.Values{s: {s}, "sort": {s}, "page": {s}},
	}
	tap := f
	tap.Page = "tap"
	tap.Tap = &web.Tap{Filter: s, Rate: s + ".", Fixed: s + ".", Problem: s + ".", Hint: s}
	both := tap
	both.Page = "channel"
	searched := f
	searched.Query = url.Values{"q": {s + "no such"}, "filter": {s}}

	out := map[string]string{}
	add := func(name string, write func(*strings.Builder) error) {
		var b strings.Builder
		require.NoError(t, write(&b))
		out[name] = b.String()
	}
	add("table", func(b *strings.Builder) error { return web.HTML(b, f) })
	add("both", func(b *strings.Builder) error { return web.HTML(b, both) })
	add("searched", func(b *strings.Builder) error { return web.HTML(b, searched) })
	add("tap", func(b *strings.Builder) error { return web.TapHTML(b, tap) })
	add("help", func(b *strings.Builder) error { return web.HelpHTML(b, f) })
	add("error", func(b *strings.Builder) error { return web.ErrorHTML(b, f, 404, s, s+".") })
	return out
}

type stringer string

func (s stringer) String() string { return string(s) }

// Whatever is put into a page, its elements and attributes are those of the
// page with harmless words in it.
func TestNoStringFromOutsideBecomesMarkup(t *testing.T) {
	t.Parallel()

	for i, s := range evil {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			for name, page := range pagesOf(t, s) {
				checkPage(t, page)
				want, got := harmless()[name], shape(t, page)
				if s == "" { // then some parts are left out
					continue
				}
				assert.Equal(t, want, got, "%s with %.40q", name, s)
			}
		})
	}
}

// What was given is what a reader gets back, in words and in values.
func TestWhatIsEscapedArrivesAsItWas(t *testing.T) {
	t.Parallel()

	for _, s := range evil {
		page := pagesOf(t, s)["tap"]
		value := regexp.MustCompile(`id="filter" [^>]* value="([^"]*)"`).FindStringSubmatch(page)
		require.NotNil(t, value, "%q", s)
		want := strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
		got := html.UnescapeString(value[1])
		assert.Equal(t, len([]rune(strings.ReplaceAll(want, "\uFFFD", ""))), len([]rune(strings.ReplaceAll(got, "\uFFFD", ""))))
		if utf8.ValidString(s) {
			assert.Equal(t, want, got)
		}
	}
	// A browser makes a line feed of a bare carriage return.
	assert.Contains(t, pagesOf(t, "a\rb")["tap"], ` value="a&#13;b"`)
}

// A name cannot hide a part of itself or turn what stands beside it.
func TestWhatCannotBeSeenIsWritten(t *testing.T) {
	t.Parallel()

	page := pagesOf(t, "a\u202eb\x1b[2Jc\x00d\ne")["table"]
	assert.Contains(t, page, `>a\u202eb\u001b[2Jc\u0000d\ne</bdi>`)
	body := page[strings.Index(page, "<main"):]
	for _, text := range regexp.MustCompile(`>[^<]*<`).FindAllString(body, -1) {
		assert.NotContains(t, text, "\u202e")
		assert.NotContains(t, text, "\x1b")
	}
	assert.Contains(t, pagesOf(t, "👩‍👩‍👧 مخزون")["table"], "<bdi>👩‍👩‍👧 مخزون</bdi>", "what needs its joiners keeps them")
	assert.Contains(t, pagesOf(t, "a\U000e0041b")["table"], `<bdi data-value="a`+"\U000e0041"+`b">a\u{e0041}b</bdi>`)
}

// harmless are the shapes of the pages with nothing evil in them.
var harmless = sync.OnceValue(func() map[string][]string {
	t := new(testing.T)
	shapes := map[string][]string{}
	for name, page := range pagesOf(t, "word") {
		shapes[name] = shape(t, page)
	}
	return shapes
})

func FuzzNoMarkup(f *testing.F) {
	for _, s := range evil {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 1<<12 {
			return
		}
		for name, page := range pagesOf(t, s) {
			checkPage(t, page)
			if s != "" && strings.TrimSpace(s) == s {
				require.Equal(t, harmless()[name], shape(t, page), name)
			}
		}
	})
}

var attrRE = regexp.MustCompile(`^ ([a-zA-Z-]+)(?:="([^"<>]*)")?`)

// checkPage reads the page as a strict parser does: nothing may be in it that
// is not a tag of ours, an attribute in quotes, or text without < and >.
func checkPage(t testing.TB, page string) {
	t.Helper()
	require.True(t, utf8.ValidString(page))
	require.NotContains(t, page, "\x00")
	eachTag(t, page, func(tag string, attrs [][]string) {
		require.True(t, allowedTag(strings.TrimPrefix(tag, "/")), tag)
		for _, a := range attrs {
			require.False(t, strings.HasPrefix(a[1], "on") || a[1] == "style" || a[1] == "srcdoc", a[1])
			switch a[1] {
			case "href", "src", "action":
				v := html.UnescapeString(a[2])
				ok := strings.HasPrefix(v, "./") || v == "" || strings.HasPrefix(v, "#")
				require.True(t, ok, "%s=%q leads away", a[1], v)
				u, err := url.Parse(v)
				require.NoError(t, err)
				require.Empty(t, u.Host)
				require.Empty(t, u.Scheme)
				require.LessOrEqual(t, strings.Count(u.EscapedPath(), "/"), 1, "%q leaves the folder", v)
				require.NotEqual(t, "./..", u.EscapedPath())
			}
		}
	})
}

// eachTag calls do with the name, which begins with a slash at the end of an
// element, and the attributes of each tag.
func eachTag(t testing.TB, page string, do func(tag string, attrs [][]string)) {
	t.Helper()
	rest, ok := strings.CutPrefix(page, "<!DOCTYPE html>")
	require.True(t, ok)
	for {
		i := strings.IndexAny(rest, "<>")
		if i < 0 {
			return
		}
		at := rest[i:]
		n := strings.IndexAny(at, " />")
		if strings.HasPrefix(at, "</") {
			n = strings.IndexByte(at, '>')
		}
		require.Greater(t, n, 1, "no tag of ours: %.80q", at)
		tag, tail := at[1:n], at[n:]
		var attrs [][]string
		for strings.HasPrefix(tail, " ") {
			m := attrRE.FindStringSubmatch(tail)
			require.NotNil(t, m, "no attribute of ours: %.80q", tail)
			attrs = append(attrs, m)
			tail = tail[len(m[0]):]
		}
		tail, ok = strings.CutPrefix(strings.TrimPrefix(tail, "/"), ">")
		require.True(t, ok, "no end of a tag: %.80q", at)
		do(tag, attrs)
		rest = tail
	}
}

func allowedTag(tag string) bool {
	return slices.Contains(strings.Fields(`html head meta title script link body a header svg path nav div span button noscript p main h1 h2
		section form input label code select option pre i b em table thead tbody tr th td small bdi data time dl dt dd footer kbd`), tag)
}

// shape is the tags of a page and the names of their attributes.
func shape(t testing.TB, page string) []string {
	t.Helper()
	var out []string
	eachTag(t, page, func(tag string, attrs [][]string) {
		s := tag
		for _, a := range attrs {
			// The words alone decide whether a name is said to be sorted by, or has a twin with the exact value.
			if a[1] != "data-value" && a[1] != "aria-current" && a[1] != "aria-sort" {
				s += " " + a[1]
			}
		}
		out = append(out, s)
	})
	return out
}
