package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func fakeTable(t testing.TB, body, name string) table {
	t.Helper()
	p, err := parsePage([]byte(body))
	require.NoError(t, err)
	return p.table(name)
}

func printed(g *grid) []string {
	var b strings.Builder
	g.print(&b, false)
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

// Whatever the width, nothing is wider, no number is cut, and what matters most is there.
func TestTableFits(t *testing.T) {
	for _, tab := range []table{fakeTable(t, fakeChannels, "channels"), fakeTable(t, fakeSubscribers, "subscribers")} {
		whole := printed(fit(tab, 0, time.Now()))
		numbers := map[string]bool{}
		for _, row := range whole[1:] {
			for _, f := range strings.Fields(row) {
				numbers[f] = true
			}
		}
		for width := 1; width <= 200; width++ {
			g := fit(tab, width, time.Now())
			for _, line := range printed(g) {
				assert.LessOrEqual(t, cells(line), width, "width %d: %q", width, line)
			}
			for i, c := range g.columns {
				for _, row := range g.cells {
					if len(g.columns) > 1 && c.kind.right() {
						assert.LessOrEqual(t, cells(row[i]), g.widths[i], "a number is cut at width %d", width)
					}
				}
			}
		}
	}
}

func TestTableAt40(t *testing.T) {
	now := time.Date(2026, 11, 20, 10, 0, 5, 0, time.UTC)
	tab := fakeTable(t, fakeSubscribers, "subscribers")
	g := fit(tab, 40, now)
	assert.Equal(t, []string{
		"REF    CHANNEL      SUBSCRIBER  DEPTH",
		"ref#1  orders.paid  mailer          0",
		"ref#2  orders.paid  warehouse       7",
	}, printed(g))
	assert.Contains(t, g.left, "subscribed at")

	tab.Rows[1] = slices.Clone(tab.Rows[1])
	tab.Rows[1][2] = "some/very/long/folder/for/a/file.go:1234"
	assert.Contains(t, printed(fit(tab, 40, now))[2], "…", "a long text is cut before a column is left out")
	assert.Contains(t, printed(fit(tab, 40, now))[2], ".go:1234", "at its beginning, if the end is what matters")
}

func TestNarrowTableSaysSo(t *testing.T) {
	r := world{url: serve(t, newFake()), width: 40}.run(t, "ls", "subscribers")
	assert.Equal(t, exitOK, r.code)
	assert.Contains(t, r.err, "[ls] too narrow for: ")
	assert.NotContains(t, world{url: serve(t, newFake())}.run(t, "ls", "subscribers").err, "narrow", "a pipe has no width")
	for _, args := range [][]string{{}, {"show", "orders.paid"}, {"slow"}, {"ls"}} {
		r = world{url: serve(t, newFakeWithChannel()), width: 40, env: map[string]string{"NO_COLOR": "1"}}.run(t, args...)
		for line := range strings.SplitSeq(r.out, "\n") {
			if !strings.HasPrefix(line, "http://") {
				assert.LessOrEqual(t, cells(line), 40, "%v: %q", args, line)
			}
		}
	}
}

func TestWidths(t *testing.T) {
	for s, n := range map[string]int{"": 0, "abc": 3, "Zoë": 3, "e\u0301": 1, "李雷": 4, "🦊": 2, "…–": 2, "نور": 3} {
		assert.Equal(t, n, cells(s), s)
	}
	assert.Equal(t, "abc", cutRight("abc", 3))
	assert.Equal(t, "ab…", cutRight("abcd", 3))
	assert.Equal(t, "李…", cutRight("李雷雷", 4))
	assert.Equal(t, "…cd", cutLeft("abcd", 3))
	assert.Equal(t, "…雷", cutLeft("李雷雷", 4))
	assert.Equal(t, "", cutRight("abc", 0))
	assert.Equal(t, "…", cutLeft("abc", 1))
	for n := range 10 {
		assert.LessOrEqual(t, cells(cutRight("a李b雷c", n)), n)
		assert.LessOrEqual(t, cells(cutLeft("a李b雷c", n)), n)
	}
}

func TestSortTable(t *testing.T) {
	tab := fakeTable(t, fakeChannels, "channels")
	order := func() (names []string) {
		for i := range tab.Rows {
			names = append(names, tab.text(i, "channel"))
		}
		return names
	}
	sortTable(&tab, "sent", true)
	assert.Equal(t, []string{"orders.paid", "db.query", "debug.cache"}, order())
	sortTable(&tab, "sent", false)
	assert.Equal(t, []string{"db.query", "orders.paid", "debug.cache"}, order(), "unknown is last both ways")
	sortTable(&tab, "channel", true)
	assert.Equal(t, []string{"orders.paid", "debug.cache", "db.query"}, order())
	sortTable(&tab, "no such", true)
	assert.Len(t, order(), 3)
}

// A page that is odd but no lie: keys in any order, rows with other keys, no rows, nested values.
func TestParsePage(t *testing.T) {
	p, err := parsePage([]byte(`{"new":{"a":[1]},"title":"T","b":[{"x":1,"y":2},{"z":null,"y":{"k":[1, 2]}}],"a":[]}`))
	require.NoError(t, err)
	assert.Equal(t, "T", p.Title)
	require.Len(t, p.Tables, 2)
	b := p.Tables[0]
	assert.Equal(t, []string{"x", "y", "z"}, b.Keys)
	assert.Equal(t, [][]any{{json.Number("1"), json.Number("2"), nil}, {nil, json.RawMessage(`{"k":[1, 2]}`), nil}}, b.Rows)
	assert.Equal(t, "a", p.Tables[1].Name)
}

func FuzzParsePage(f *testing.F) {
	for _, seed := range []string{fakeOverview, fakeChannels, fakeSubscribers, fakeSlow, "{}", `{"title":"x","a":[{"b":[{}]},{}]}`} {
		f.Add([]byte(seed), 40)
	}
	f.Fuzz(func(t *testing.T, raw []byte, width int) {
		p, err := parsePage(raw)
		if err != nil || width < 0 {
			return
		}
		for _, tab := range p.Tables {
			for _, line := range printed(fit(tab, width%300, time.Now())) {
				assertSafe(t, line)
				if n := cells(line); width%300 > 0 && n > width%300 && len(tab.Keys) > 0 {
					t.Fatalf("%d cells: %q", n, line)
				}
			}
		}
	})
}

func BenchmarkTable(b *testing.B) {
	var rows []string
	for i := range 10_000 {
		rows = append(rows, fmt.Sprintf(`{"channel":"channel.%d","type":"shop.Order","sent":%d,"rate":%d.5,"live":true}`, i, i*i, i))
	}
	raw := []byte(`{"title":"Channels","channels":[` + strings.Join(rows, ",") + `]}`)
	for b.Loop() {
		p, _ := parsePage(raw)
		fit(p.Tables[0], 80, time.Now())
	}
}
