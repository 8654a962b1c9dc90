package web_test

import (
	"fmt"
	"math"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/earshot-go/earshot/tap/internal/web"
	"github.com/earshot-go/earshot/tap/panel"
)

// column answers the first cells of a table, after the query was applied.
func column(kind panel.Kind, cells []any, query string) []string {
	t := panel.Table{Name: "t", Columns: []panel.Column{{Key: "c", Kind: kind}}}
	for _, c := range cells {
		t.Rows = append(t.Rows, []any{c})
	}
	q, _ := url.ParseQuery(query)
	var out []string
	for _, r := range web.Arrange(panel.View{Tables: []panel.Table{t}}, q).Tables[0].Rows {
		out = append(out, fmt.Sprint(r[0]))
	}
	return out
}

type depth int32

func TestRowsAreSortedByWhatTheyMean(t *testing.T) {
	t.Parallel()

	for _, c := range []struct {
		kind  panel.Kind
		query string
		cells []any
		want  []string
	}{
		{panel.Code, "sort=c", []any{"b.go:88", "B.go:9", "a.go:100", nil, "b.go:088"}, []string{"a.go:100", "B.go:9", "b.go:088", "b.go:88", "<nil>"}},
		{panel.Code, "sort=-c", []any{"a", nil, "b"}, []string{"b", "a", "<nil>"}},
		{
			panel.Count, "sort=c",
			[]any{uint64(math.MaxUint64), int64(math.MinInt64), 0, nil, uint64(math.MaxUint64 - 1), int64(math.MaxInt64), depth(-1), 2.5},
			[]string{"-9223372036854775808", "-1", "0", "2.5", "9223372036854775807", "18446744073709551614", "18446744073709551615", "<nil>"},
		},
		{panel.Count, "sort=-c", []any{"many", 3, 12}, []string{"many", "12", "3"}},
		{panel.Seconds, "sort=-c", []any{time.Second, time.Minute, nil, time.Duration(1)}, []string{"1m0s", "1s", "1ns", "<nil>"}},
		{
			panel.Time, "sort=c", []any{noon, time.Time{}, noon.Add(-time.Nanosecond)},
			[]string{noon.Add(-time.Nanosecond).String(), noon.String(), time.Time{}.String()},
		},
		{panel.Flag, "sort=-c", []any{false, true, nil}, []string{"true", "false", "<nil>"}},
		{panel.Count, "sort=t.c", []any{2, 1}, []string{"1", "2"}},
		{panel.Count, "sort=other.c", []any{2, 1}, []string{"2", "1"}},
		{panel.Count, "sort=none", []any{2, 1}, []string{"2", "1"}},
		{panel.Count, "sort=", []any{2, 1}, []string{"2", "1"}},
		{panel.Code, "q=ORDERS", []any{"orders.paid", "mail", "my.Orders", nil}, []string{"orders.paid", "my.Orders"}},
		{panel.Code, "q=+mail+&sort=-c", []any{"mail.a", "mail.b"}, []string{"mail.b", "mail.a"}},
		{panel.Count, "q=1", []any{1, 11}, nil}, // names are searched, not numbers
	} {
		assert.Equal(t, c.want, column(c.kind, c.cells, c.query), "%v %s", c.kind, c.query)
	}
}

func TestEqualRowsKeepTheirOrder(t *testing.T) {
	t.Parallel()

	table := panel.Table{Columns: []panel.Column{{Key: "k", Kind: panel.Count}, {Key: "i", Kind: panel.Count}}}
	for i := range 100 {
		table.Rows = append(table.Rows, []any{i % 3, i})
	}
	for _, sort := range []string{"k", "-k"} {
		rows := web.Arrange(panel.View{Tables: []panel.Table{table}}, url.Values{"sort": {sort}}).Tables[0].Rows
		assert.True(t, slices.IsSortedFunc(rows, func(a, b []any) int {
			if a[0] != b[0] {
				return 0
			}
			return a[1].(int) - b[1].(int)
		}), sort)
	}
}

func TestArrangeLeavesWhatItIsGiven(t *testing.T) {
	t.Parallel()

	v := queues()
	first := v.Tables[0].Rows[0]
	web.Arrange(v, url.Values{"sort": {"-name"}, "q": {"r"}, "page": {"1"}})
	assert.Len(t, v.Tables[0].Rows, 2)
	assert.Equal(t, first, v.Tables[0].Rows[0])
}

func TestPagesAreCutOnlyWhenAsked(t *testing.T) {
	t.Parallel()

	var v panel.View
	table := panel.Table{Name: "t", Columns: []panel.Column{{Key: "c", Kind: panel.Count}}}
	for i := range 450 {
		table.Rows = append(table.Rows, []any{i})
	}
	facts := panel.Table{Name: "f", Facts: true, Columns: table.Columns, Rows: [][]any{{1}}}
	v.Tables = []panel.Table{table, facts}

	rows := func(query string) (n, total int, first any) {
		q, _ := url.ParseQuery(query)
		got := web.Arrange(v, q)
		assert.Len(t, got.Tables[1].Rows, 1, "facts stay")
		x := got.Tables[0]
		return len(x.Rows), x.Total, x.Rows[0][0]
	}
	check := func(query string, n, total, first int) {
		t.Helper()
		a, b, c := rows(query)
		assert.Equal(t, []any{n, total, first}, []any{a, b, c}, query)
	}
	check("", 450, 0, 0)
	check("page=1", 200, 450, 0)
	check("page=3", 50, 450, 400)
	check("page=99", 50, 450, 400)
	check("page=-1", 200, 450, 0)
	check("page=x", 200, 450, 0)
	v.Tables[0].Total = 1000 // the panel itself brought a part
	check("", 450, 1000, 0)
}
