package web

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/earshot-go/earshot/tap/panel"
)

// PageRows is how many rows of a table a page shows.
const PageRows = 200

// Arrange answers the view with its tables searched, sorted and paged as the
// query of the request says, on the server, so that it works without
// JavaScript and for the JSON twin too:
//
//	q=orders        rows in which some cell contains the text, ignoring case
//	sort=rate       by the column, from small to large; unknown values last
//	sort=-rate      from large to small
//	sort=slow.rate  in the table "slow" only
//	page=2          PageRows rows of each table that has so many; all without it
//
// A column or page that does not exist changes nothing, since tables change
// while people look. Tables of facts are left alone. The view that is given
// keeps its order.
func Arrange(v panel.View, q url.Values) panel.View {
	v.Tables = slices.Clone(v.Tables)
	paged := q.Get("page") != ""
	for i := range v.Tables {
		t := &v.Tables[i]
		a := arrange(t, q)
		if cut := t.Total - len(t.Rows); cut > 0 {
			t.Total = len(a.rows) + cut
		}
		t.Rows = a.rows
		if paged {
			t.Total = max(t.Total, len(t.Rows))
			t.Rows = a.shown()
		}
	}
	return v
}

// An arranged table is what a query makes of one.
type arranged struct {
	rows []row // that match, in order
	all  int   // rows before the search
	page int   // from 1
}

type row = []any

func (a *arranged) pages() int { return max(1, (len(a.rows)+PageRows-1)/PageRows) }

// shown are the rows of the page.
func (a *arranged) shown() []row {
	from := (a.page - 1) * PageRows
	return a.rows[from:min(len(a.rows), from+PageRows)]
}

func arrange(t *panel.Table, q url.Values) *arranged {
	a := &arranged{rows: t.Rows, all: len(t.Rows), page: 1}
	if t.Facts {
		return a
	}
	if want := strings.ToLower(strings.TrimSpace(q.Get("q"))); want != "" {
		a.rows = nil
		for _, r := range t.Rows {
			if contains(t, r, want) {
				a.rows = append(a.rows, r)
			}
		}
	}
	if at, down := sorting(t, q); at >= 0 {
		a.rows = sorted(a.rows, at, t.Columns[at].Kind, down)
	}
	if n, err := strconv.Atoi(q.Get("page")); err == nil {
		a.page = min(max(n, 1), a.pages())
	}
	return a
}

// contains looks at words and names only: a search for 12 is for order-12,
// not for whatever has just been counted to 12.
func contains(t *panel.Table, r row, want string) bool {
	for i, col := range t.Columns {
		if i >= len(r) {
			break
		}
		if c := read(col.Kind, r[i]); c.known && !c.isNum && strings.Contains(strings.ToLower(c.text), want) {
			return true
		}
	}
	return false
}

// sorting answers the column that the query sorts the table by, or -1.
func sorting(t *panel.Table, q url.Values) (at int, down bool) {
	key, down := strings.CutPrefix(q.Get("sort"), "-")
	if key == "" {
		return -1, false
	}
	key = strings.TrimPrefix(key, t.Name+".")
	return slices.IndexFunc(t.Columns, func(c panel.Column) bool { return c.Key == key }), down
}

// sorted reads each cell once; rows that are equal keep their order.
func sorted(rows []row, at int, kind panel.Kind, down bool) []row {
	type item struct {
		row  row
		cell cell
		fold string
	}
	items := make([]item, len(rows))
	for i, r := range rows {
		items[i].row = r
		if at < len(r) {
			items[i].cell = read(kind, r[at])
		}
		items[i].fold = strings.ToLower(items[i].cell.text)
	}
	slices.SortStableFunc(items, func(a, b item) int {
		if !a.cell.known || !b.cell.known {
			return order(b.cell.known, a.cell.known) // unknown last, up or down
		}
		c := 0
		switch {
		case a.cell.isNum != b.cell.isNum:
			c = order(b.cell.isNum, a.cell.isNum)
		case !a.cell.when.IsZero() && !b.cell.when.IsZero():
			c = a.cell.when.Compare(b.cell.when)
		case a.cell.isDur && b.cell.isDur:
			c = cmp.Compare(a.cell.took, b.cell.took)
		case a.cell.isNum:
			c = a.cell.num.compare(b.cell.num)
		default:
			c = cmp.Or(natural(a.fold, b.fold), strings.Compare(a.cell.text, b.cell.text))
		}
		if down {
			return -c
		}
		return c
	})
	out := make([]row, len(items))
	for i := range items {
		out[i] = items[i].row
	}
	return out
}

// order puts false before true.
func order(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// natural compares as people count: orders.go:9 comes before orders.go:88.
func natural(a, b string) int {
	for a != "" && b != "" {
		if isDigit(a[0]) && isDigit(b[0]) {
			da, db := digits(a), digits(b)
			na, nb := strings.TrimLeft(da, "0"), strings.TrimLeft(db, "0")
			if c := cmp.Or(cmp.Compare(len(na), len(nb)), strings.Compare(na, nb)); c != 0 {
				return c
			}
			a, b = a[len(da):], b[len(db):]
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func digits(s string) string {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return s[:n]
}
