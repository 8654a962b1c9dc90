package web_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/tap/internal/web"
	"github.com/earshot-go/earshot/tap/panel"
)

type panics struct{}

func (panics) String() string { panic("no") }

// one renders a single cell in all three forms.
func one(t *testing.T, kind panel.Kind, v any) (page, json, metric string) {
	t.Helper()
	view := panel.View{Tables: []panel.Table{{Name: "t", Columns: []panel.Column{{Key: "c", Kind: kind, Metric: "m"}}, Rows: [][]any{{v}}}}}
	html := render(t, web.Frame{View: view})
	_, cell, _ := strings.Cut(html, "<tbody>")
	cell, _, _ = strings.Cut(cell, "</td>")
	for { // words only
		from, rest, ok := strings.Cut(cell, "<")
		if !ok {
			break
		}
		_, rest, _ = strings.Cut(rest, ">")
		cell = from + rest
	}
	var b strings.Builder
	require.NoError(t, web.JSON(&b, view))
	_, json, _ = strings.Cut(b.String(), `"c":`)
	json, _, _ = strings.Cut(json, "}]")
	b.Reset()
	require.NoError(t, web.Metrics(&b, view))
	_, metric, _ = strings.Cut(b.String(), "\nm ")
	return strings.TrimSpace(cell), json, strings.TrimSpace(metric)
}

func TestACellIsTheSameThingThreeTimes(t *testing.T) {
	t.Parallel()

	var none *panel.Link
	for _, c := range []struct {
		kind               panel.Kind
		value              any
		page, json, metric string
	}{
		{panel.Count, nil, "–", "null", ""},
		{panel.Count, 0, "0", "0", "0"},
		{panel.Count, 1234, "1,234", "1234", "1234"},
		{panel.Count, int64(math.MinInt64), "−9,223,372,036,854,775,808", "-9223372036854775808", "-9223372036854775808"},
		{panel.Count, uint64(math.MaxUint64), "18,446,744,073,709,551,615", "18446744073709551615", "18446744073709551615"},
		{panel.Count, depth(7), "7", "7", "7"},
		{panel.Count, uint8(200), "200", "200", "200"},
		{panel.Count, 12.0, "12", "12", "12"},
		{panel.Count, "many", "many", `"many"`, ""},
		{panel.Count, true, "true", `"true"`, ""},
		{panel.Rate, 0.0, "0", "0", "0"},
		{panel.Rate, 0.01, "&lt;0.1/s", "0.01", "0.01"},
		{panel.Rate, 9.94, "9.9/s", "9.94", "9.94"},
		{panel.Rate, 9.96, "10/s", "9.96", "9.96"},
		{panel.Rate, 12345.6, "12,346/s", "12345.6", "12345.6"},
		{panel.Rate, 1e300, strings.TrimSuffix("1"+strings.Repeat("0", 300), "") + "/s", "1e+300", "1e+300"},
		{panel.Rate, 1000, "1,000/s", "1000", "1000"},
		{panel.Rate, math.NaN(), "–", "null", ""},
		{panel.Rate, math.Inf(1), "–", "null", ""},
		{panel.Seconds, time.Duration(0), "0 s", "0", "0"},
		{panel.Seconds, 1, "1.00 s", "1", "1"},
		{panel.Seconds, 0.0015, "1.50 ms", "0.0015", "0.0015"},
		{panel.Seconds, time.Duration(999), "999 ns", "0.000000999", "9.99e-07"},
		{panel.Seconds, 999499 * time.Nanosecond, "999 µs", "0.000999499", "0.000999499"},
		{panel.Seconds, 999600 * time.Nanosecond, "1.00 ms", "0.0009996", "0.0009996"},
		{panel.Seconds, 12345 * time.Microsecond, "12.3 ms", "0.012345", "0.012345"},
		{panel.Seconds, 59 * time.Second, "59.0 s", "59", "59"},
		{panel.Seconds, 65 * time.Second, "1 m 05 s", "65", "65"},
		{panel.Seconds, 3*time.Hour + 7*time.Minute, "3 h 07 m", "11220", "11220"},
		{panel.Seconds, 50 * time.Hour, "2 d 02 h", "180000", "180000"},
		{panel.Seconds, time.Duration(math.MinInt64), "−106751 d 23 h", "-9223372036.854775808", "-9223372036.854776"},
		{panel.Seconds, -time.Millisecond, "−1.00 ms", "-0.001", "-0.001"},
		{panel.Time, time.Time{}, "–", "null", ""},
		{panel.Time, noon, "now", `"2026-11-21T12:00:00Z"`, "1795262400"},
		{panel.Time, noon.Add(-59 * time.Second), "59 s ago", `"2026-11-21T11:59:01Z"`, "1795262341"},
		{panel.Time, noon.Add(2 * time.Minute), "in 2 m 00 s", `"2026-11-21T12:02:00Z"`, "1795262520"},
		{panel.Time, noon.Add(-49 * time.Hour).In(time.FixedZone("CET", 3600)), "2026-11-19 11:00", `"2026-11-19T11:00:00Z"`, "1795086000"},
		{panel.Time, "yesterday", "yesterday", `"yesterday"`, ""},
		{panel.Bytes, 1023, "1,023 B", "1023", "1023"},
		{panel.Bytes, 1024, "1.0 KiB", "1024", "1024"},
		{panel.Bytes, 1 << 20, "1.0 MiB", "1048576", "1048576"},
		{panel.Bytes, uint64(math.MaxUint64), "16.0 EiB", "18446744073709551615", "18446744073709551615"},
		{panel.Flag, true, "yes", "true", "1"},
		{panel.Flag, false, "no", "false", "0"},
		{panel.Flag, nil, "–", "null", ""},
		{panel.Text, "", "", `""`, ""},
		{panel.Text, errors.New("x < y"), "x &lt; y", `"x \u003c y"`, ""},
		{panel.Text, time.Minute, "1m0s", `"1m0s"`, ""},
		{panel.Text, panel.Link{Text: "here", Page: "x"}, "here", `"here"`, ""},
		{panel.Text, none, "–", "null", ""},
		{panel.Text, panics{}, "%!v(PANIC=String method: no)", `"%!v(PANIC=String method: no)"`, ""},
		{panel.Code, 12, "12", `"12"`, ""},
	} {
		page, json, metric := one(t, c.kind, c.value)
		if c.value == 1e300 { // too long to say what its digits are
			page = c.page
		}
		assert.Equal(t, []string{c.page, c.json, c.metric}, []string{page, json, metric}, "%v %v", c.kind, c.value)
	}
}
