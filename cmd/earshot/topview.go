package main

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"
)

// defaultSort is what one wants to see first.
var defaultSort = map[string]string{"channels": "-rate", "subscribers": "-depth", "slow": "-depth"}

// views are the pages that tab goes through.
var views = []string{"channels", "subscribers", "slow"}

// testPlant is called when the screen is drawn and when a page is fetched, for the test of what a panic
// leaves behind.
var testPlant = func(where string) {}

const keyHelp = "q quit  c channels  s subs  l slow  ←→ sort  r reverse  space pause  jk scroll"

// lines returns what is on the screen: as many lines as it has, none wider than it is.
func (t *top) lines() []string {
	testPlant("draw")
	width, height := t.term.size()
	p := t.paint()
	head := t.head(width, p)
	g, empty := t.grid(width)
	room := max(0, height-len(head)-2) // the table's header, and the keys
	t.offset = max(0, min(t.offset, len(g.cells)-room))
	lines := append(head, p.reverse(pad(cutRight(g.header(), width), width)))
	for r := t.offset; r < len(g.cells) && r < t.offset+room; r++ {
		lines = append(lines, cutRight(g.row(r), width))
	}
	if len(g.cells) == 0 {
		lines = append(lines, cutRight(empty, width))
	}
	for len(lines) < height-1 {
		lines = append(lines, "")
	}
	if height > 3 {
		lines = append(lines[:height-1], p.dim(cutRight(keyHelp, width)))
	}
	return lines[:min(len(lines), height)]
}

// head returns the state in words, and the totals.
func (t *top) head(width int, p paint) []string {
	o := t.shot.overview
	status, text := o.Status, strings.ToUpper(clean(o.Status))+"  "+clean(o.Summary)
	switch {
	case t.trouble != "":
		status, text = "bad", "LOST  trying again; this is of "+age(t.now().Sub(t.lastSeen))+": "+t.trouble
	case t.paused:
		text = "PAUSED  " + text
	}
	facts := t.totals(o.table("totals"), "rate", "depth", "missed", "slow")
	return []string{
		p.status(status, cutRight(text, width)),
		p.dim(cutRight(strings.Join(facts, " · "), width)),
		"",
	}
}

// grid returns the table that is looked at, sorted, and what to say if it has no rows.
func (t *top) grid(width int) (g *grid, empty string) {
	if t.shot.what != t.what || len(t.shot.page.Tables) == 0 {
		return fit(table{}, width, t.now()), "…"
	}
	tab := t.shot.page.Tables[0]
	tab.Rows = slices.Clone(tab.Rows)
	key, down := t.order()
	sortTable(&tab, key, down)
	sign := "▲"
	if down {
		sign = "▼"
	}
	return fit(tab, width, t.now(), mark{key, sign}), cmp.Or(clean(t.shot.page.Summary), "Nothing there.")
}

// report is a snapshot as text.
func (t *top) report(width int) []string {
	wide := width
	if wide == 0 {
		wide = math.MaxInt
	}
	lines := t.head(wide, t.paint())
	g, empty := t.grid(width)
	if len(g.cells) == 0 {
		return append(lines, empty)
	}
	lines = append(lines, g.header())
	for r := range g.cells {
		lines = append(lines, g.row(r))
	}
	return lines
}

// order returns by which column to sort, and whether the largest comes first.
func (t *top) order() (key string, down bool) {
	key = t.sort
	if key == "" {
		key = defaultSort[t.what]
	}
	return strings.TrimPrefix(key, "-"), strings.HasPrefix(key, "-")
}

// key does what a key asks for, and reports whether that is to end.
func (t *top) key(key string) (done bool, err error) {
	switch key {
	case "q", "eof":
		return true, nil
	case "interrupt":
		return true, fail(exitInterrupted, "", "")
	case "suspend":
		t.screen.leave()
		suspend()
		if err := t.screen.enter(); err != nil {
			return true, err
		}
	case "c":
		t.view("channels")
	case "s":
		t.view("subscribers")
	case "l":
		t.view("slow")
	case "tab":
		t.view(views[(slices.Index(views, t.what)+1)%len(views)])
	case "left", "<":
		t.sortBy(-1)
	case "right", ">":
		t.sortBy(1)
	case "r":
		if key, down := t.order(); down {
			t.sort = key
		} else {
			t.sort = "-" + key
		}
	case " ":
		t.paused = !t.paused
	case "j", "down":
		t.offset++
	case "k", "up":
		t.offset--
	case "pagedown":
		t.offset += t.page()
	case "pageup":
		t.offset -= t.page()
	case "g", "home":
		t.offset = 0
	case "G", "end":
		t.offset = math.MaxInt32
	}
	return false, nil
}

func (t *top) page() int {
	_, height := t.term.size()
	return max(1, height-6)
}

func (t *top) view(what string) {
	if what != t.what {
		t.what, t.sort, t.offset = what, "", 0
	}
}

// sortBy moves the sorting by so many columns. A number is sorted from the largest down.
func (t *top) sortBy(step int) {
	if t.shot.what != t.what || len(t.shot.page.Tables) == 0 || len(t.shot.page.Tables[0].Keys) == 0 {
		return
	}
	tab := t.shot.page.Tables[0]
	key, _ := t.order()
	i := min(max(0, tab.column(key)+step), len(tab.Keys)-1)
	t.sort = tab.Keys[i]
	if describe(&tab, i).kind.right() {
		t.sort = "-" + t.sort
	}
}

// sortTable sorts rows by a column; what is not known comes last.
func sortTable(t *table, key string, down bool) {
	i := t.column(key)
	if i < 0 {
		return
	}
	slices.SortStableFunc(t.Rows, func(a, b []any) int {
		if a[i] == nil || b[i] == nil {
			return cmp.Compare(boolInt(a[i] == nil), boolInt(b[i] == nil))
		}
		n := compare(a[i], b[i])
		if down {
			n = -n
		}
		return n
	})
}

func compare(a, b any) int {
	x, isNumber := a.(json.Number)
	y, too := b.(json.Number)
	if isNumber && too {
		f, _ := x.Float64()
		g, _ := y.Float64()
		return cmp.Compare(f, g)
	}
	return strings.Compare(kindText.format(a, time.Time{}), kindText.format(b, time.Time{}))
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func pad(s string, n int) string { return s + strings.Repeat(" ", max(0, n-cells(s))) }
