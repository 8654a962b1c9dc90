package web_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/tap/internal/web"
	"github.com/earshot-go/earshot/tap/panel"
)

func metrics(t *testing.T, views ...panel.View) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, web.Metrics(&b, views...))
	return b.String()
}

// events is a view of one table with a label, a counter and a gauge.
func events(rows ...[]any) panel.View {
	return panel.View{Tables: []panel.Table{{Name: "events", Columns: []panel.Column{
		{Key: "channel", Kind: panel.Code, Dim: true},
		{Key: "sent", Kind: panel.Count, Metric: "events_total", Counter: true, Doc: `Those that were sent; a \ and` + "\na line."},
		{Key: "depth", Kind: panel.Count, Metric: "events_depth"},
		{Key: "note", Kind: panel.Count},
	}, Rows: rows}}}
}

func TestMetricsAreTheNumbersOfThePage(t *testing.T) {
	t.Parallel()

	got := metrics(t, events([]any{"a", uint64(1<<63 + 1), 4, 1}, []any{"b", 2, nil, 1}), queues())
	assert.Equal(t, `# HELP events_total Those that were sent; a \\ and\na line.
# TYPE events_total counter
events_total{channel="a"} 9223372036854775809
events_total{channel="b"} 2
# TYPE events_depth gauge
events_depth{channel="a"} 4
# HELP queue_depth Jobs that wait.
# TYPE queue_depth gauge
queue_depth{name="mail"} 9223372036854775809
queue_depth{name="refunds"} 0
# TYPE queue_oldest_seconds gauge
queue_oldest_seconds{name="mail"} 1.5
`, got)
}

func TestRowsWithEqualLabelsAreSummed(t *testing.T) {
	t.Parallel()

	got := metrics(t, events([]any{"a", 3, 1}, []any{"b", 1, 1}, []any{"a", 4, -3}))
	assert.Contains(t, got, "events_total{channel=\"a\"} 7\n")
	assert.Contains(t, got, "events_depth{channel=\"a\"} -2\n")
	assert.Equal(t, 1, strings.Count(got, `events_total{channel="a"}`))

	got = metrics(t, events([]any{"a", uint64(math.MaxUint64 - 1), math.MinInt64}, []any{"a", 1, uint64(1 << 63)}))
	assert.Contains(t, got, "events_total{channel=\"a\"} 18446744073709551615\n")
	assert.Contains(t, got, "events_depth{channel=\"a\"} 0\n")
	got = metrics(t, events([]any{"a", uint64(math.MaxUint64), 1}, []any{"a", 1, 0.5}))
	assert.Contains(t, got, "events_total{channel=\"a\"} 18446744073709552000\n", "too large to be exact, but not 0")
	assert.Contains(t, got, "events_depth{channel=\"a\"} 1.5\n")
}

// An overview shows again what a page of its own shows: that is no second event.
func TestASampleThatIsRepeatedCountsOnce(t *testing.T) {
	t.Parallel()

	got := metrics(t, events([]any{"a", 3, 1}), events([]any{"a", 3, 1}, []any{"b", 5, 1}))
	_, got, _ = strings.Cut(got, "# TYPE ")
	assert.Equal(t, `events_total counter
events_total{channel="a"} 3
events_total{channel="b"} 5
# TYPE events_depth gauge
events_depth{channel="a"} 1
events_depth{channel="b"} 1
`, got, "and the samples of a metric stand together")
}

func TestALabelHasTwoHundredValuesAndOthers(t *testing.T) {
	t.Parallel()

	var rows [][]any
	for i := range 1000 {
		rows = append(rows, []any{fmt.Sprintf("c%04d", i), 1, 2})
	}
	got := metrics(t, events(rows...))
	assert.Equal(t, web.MaxLabels+1, strings.Count(got, "events_total{"))
	assert.Contains(t, got, `events_total{channel="c0199"} 1`)
	assert.NotContains(t, got, `c0200`)
	assert.Contains(t, got, `events_total{channel="_other"} 800`)
	assert.Contains(t, got, `events_depth{channel="_other"} 1600`)

	// The order of the rows, which is by rate one time and by name another,
	// does not change which series there are.
	rand.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	again := metrics(t, events(rows...))
	assert.ElementsMatch(t, strings.Split(got, "\n"), strings.Split(again, "\n"))
}

// A line that is not understood makes Prometheus throw all of them away.
func TestEveryLineIsValid(t *testing.T) {
	t.Parallel()

	line := regexp.MustCompile(`^(# (HELP|TYPE) [a-zA-Z_:][a-zA-Z0-9_:]* .*|[a-zA-Z_:][a-zA-Z0-9_:]*(\{[a-zA-Z_][a-zA-Z0-9_]*="([^"\\\n]|\\["\\n])*"(,[a-zA-Z_][a-zA-Z0-9_]*="([^"\\\n]|\\["\\n])*")*\})? (-?[0-9.]+(e[+-][0-9]+)?))$`)
	for _, s := range evil {
		got := metrics(t, panel.View{Title: s, Tables: []panel.Table{{
			Name: s,
			Columns: []panel.Column{
				{Key: s, Kind: panel.Code, Dim: true}, {Key: "other", Kind: panel.Flag, Dim: true},
				{Key: "n", Kind: panel.Count, Metric: "m" + s, Doc: s},
			},
			Rows: [][]any{{s, true, 1}, {s + "\\", false, 1.5}, {nil, nil, 2}},
		}}})
		for l := range strings.Lines(got) {
			require.Regexp(t, line, strings.TrimSuffix(l, "\n"), "%.40q", s)
		}
	}
}

func TestMetricsOfNothing(t *testing.T) {
	t.Parallel()

	assert.Empty(t, metrics(t))
	assert.Empty(t, metrics(t, events()))
}
