package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/tap"
	"github.com/earshot-go/earshot/tap/filter"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func parse(t testing.TB, text string) *filter.Filter {
	t.Helper()
	f, err := filter.Parse(text)
	require.NoError(t, err)
	return f
}

// A filterCase is one of those that package filter tests itself with.
type filterCase struct {
	text    string
	match   []string // names of events, or "-", "*", "+*"
	isError bool
}

type jsonEvent struct{ name, channel, body string }

// filterCases reads the table: what each line means is said at its top.
func filterCases(t *testing.T) (events []jsonEvent, cases []filterCase) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "tap", "filter", "testdata", "cases.txt"))
	require.NoError(t, err)
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "event":
			part := strings.SplitN(rest, " ", 3)
			events = append(events, jsonEvent{part[0], part[1], part[2]})
		case "filter":
			cases = append(cases, filterCase{text: rest})
		case "filterq":
			text, err := strconv.Unquote(rest)
			require.NoError(t, err, line)
			cases = append(cases, filterCase{text: text})
		case "match":
			cases[len(cases)-1].match = strings.Fields(rest)
		case "error":
			cases[len(cases)-1].isError = true
		}
	}
	return events, cases
}

// The page refuses what Go refuses, with the same words and the same caret,
// without its script as with it.
func TestUX21FilterErrors(t *testing.T) {
	s := newSite(t, tap.Look|tap.Payloads)
	p := s.tab("help")
	p.expect(`400`)
	_, cases := filterCases(t)
	n := 0
	for _, c := range cases {
		if !c.isError || !utf8.ValidString(c.text) { // JavaScript has no text that is not
			continue
		}
		n++
		_, err := filter.Parse(c.text)
		var want *filter.Error
		require.True(t, errors.As(err, &want), "%q", c.text)
		got := eval[struct{ Page, PageHint, Message, Caret, Hint string }](p, `(async () => {
			const q = new URLSearchParams({filter: `+quote(c.text)+`});
			const page = new DOMParser().parseFromString(await (await fetch('tap?' + q, {headers: {Accept: 'text/html'}})).text(), 'text/html');
			const twin = (await (await fetch('events?' + q)).json()).filter;
			return {Page: page.querySelector('#filter-error pre').textContent, PageHint: page.querySelector('#filter-error p').textContent,
				Message: twin.message, Caret: twin.caret, Hint: twin.hint || ''};
		})()`)
		assert.Equal(t, want.Msg, got.Message, "%q", c.text)
		assert.Equal(t, want.Hint, got.Hint, "%q", c.text)
		assert.Equal(t, want.Error(), got.Caret, "%q", c.text)
		assert.Contains(t, got.Page, want.Msg, "%q", c.text)
		line, mark := want.Caret()
		assert.Contains(t, got.Page, line+"\n"+mark, "%q", c.text)
		assert.Contains(t, got.PageHint, want.Hint, "%q", c.text)
	}
	assert.Greater(t, n, 30)
	t.Logf("%d filters", n)
}

// What passes a filter in Go passes it in the page. All the table would take
// minutes in a browser: some are picked.
func TestUX21FilterMatches(t *testing.T) {
	events, cases := filterCases(t)
	s := newSite(t, tap.Look|tap.Payloads)
	p := s.tap("", "all")
	n := 0
	for i, c := range cases {
		if c.isError || len(c.match) == 0 || len(c.text) > 1000 || i%10 != 0 {
			continue
		}
		f := parse(t, c.text)
		_, _, rate := f.Rate()
		_, _, sample := f.Sample()
		if rate || sample {
			continue
		}
		n++
		p.open(s.page + tapPath(c.text, "all"))
		p.until(isLive)
		var want []string
		seen := 0
		for _, e := range events {
			own := strings.HasPrefix(e.channel, "earshot.")
			switch {
			case slices.Contains(c.match, e.name), c.match[0] == "+*", c.match[0] == "*" && !own:
				want = append(want, e.name)
			}
			if f.Channel(e.channel) {
				seen++
			}
		}
		for _, e := range events {
			var event map[string]any
			d := json.NewDecoder(strings.NewReader(e.body))
			d.UseNumber()
			require.NoError(t, d.Decode(&event), e.name)
			earshot.SendEvent(s.srv, e.channel, event)
		}
		p.until(fmt.Sprintf(`(%s).Seen === %d && (%[1]s).Rows === (%[1]s).Shown`, readCounts, seen))
		shown := eval[[]string](p, `[...document.querySelectorAll('#rows tr[data-seq]')].map(tr => tr.dataset.channel).sort()`)
		var channels []string
		for _, e := range events {
			if slices.Contains(want, e.name) {
				channels = append(channels, e.channel)
			}
		}
		slices.Sort(channels)
		assert.ElementsMatch(t, channels, shown, "%q: %v", c.text, want)
	}
	assert.Greater(t, n, 10)
	t.Logf("%d filters", n)
}
