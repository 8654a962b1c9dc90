package main

import (
	"io"
	"strings"
	"time"
)

// A grid is a table made ready for a screen: its cells are text, safe, and not yet cut.
type grid struct {
	columns []column
	cells   [][]string
	widths  []int
	left    []string // labels of the columns that did not fit
}

// A mark is a sign at a column's label, for the one by which rows are sorted. Such a column stays.
type mark struct{ key, sign string }

const gap = 2 // blanks between columns

// A text column is not made narrower than this before others are left out: first before those that one
// can do without, and then before any.
const (
	roomyText = 24
	leastText = 12
	dispensed = 60 // column.keep below this
)

// fit lays a table out for a screen of the given width, 0 for one without an end. First the text columns
// get narrower, the widest first; then columns are left out, those that matter least first. A number is
// shown as a whole or not at all.
func fit(t table, width int, now time.Time, marks ...mark) *grid {
	g := &grid{}
	for i, key := range t.Keys {
		c := describe(&t, i)
		for _, m := range marks {
			if m.key == key {
				c.label += m.sign
				c.keep = 99
			}
		}
		g.columns = append(g.columns, c)
	}
	for _, row := range t.Rows {
		cells := make([]string, len(row))
		for i, v := range row {
			cells[i] = g.columns[i].kind.format(v, now)
		}
		g.cells = append(g.cells, cells)
	}
	g.measure()
	for width > 0 && !g.shrink(width, roomyText) {
		if i := g.worst(); g.columns[i].keep >= dispensed {
			break
		} else {
			g.drop(i)
		}
	}
	for width > 0 && !g.shrink(width, leastText) {
		g.drop(g.worst())
	}
	return g
}

// measure gives each column the width that it would like.
func (g *grid) measure() {
	g.widths = make([]int, len(g.columns))
	for i, c := range g.columns {
		g.widths[i] = cells(c.label)
		for _, row := range g.cells {
			g.widths[i] = max(g.widths[i], cells(row[i]))
		}
	}
}

func (g *grid) total() int {
	n := gap * max(0, len(g.widths)-1)
	for _, w := range g.widths {
		n += w
	}
	return n
}

// shrink makes text columns narrower until the grid fits, and reports whether it does. A grid with one
// column always fits.
func (g *grid) shrink(width, least int) bool {
	g.measure()
	if len(g.columns) <= 1 {
		least = 1
	}
	for over := g.total() - width; over > 0; over-- {
		widest := -1
		for i, c := range g.columns {
			if (!c.kind.whole() || least == 1) && g.widths[i] > least && (widest < 0 || g.widths[i] > g.widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return len(g.columns) <= 1
		}
		g.widths[widest]--
	}
	return true
}

// worst returns the column that matters least; of two the later one.
func (g *grid) worst() int {
	worst := len(g.columns) - 1
	for i := worst; i >= 0; i-- {
		if g.columns[i].keep < g.columns[worst].keep {
			worst = i
		}
	}
	return worst
}

// drop leaves out a column.
func (g *grid) drop(worst int) {
	g.left = append(g.left, strings.ToLower(g.columns[worst].label))
	g.columns = append(g.columns[:worst:worst], g.columns[worst+1:]...)
	for r, row := range g.cells {
		g.cells[r] = append(row[:worst:worst], row[worst+1:]...)
	}
}

// header returns the line with the labels.
func (g *grid) header() string {
	labels := make([]string, len(g.columns))
	for i, c := range g.columns {
		labels[i] = c.label
	}
	return g.line(labels)
}

// row returns the line with a row's values.
func (g *grid) row(r int) string { return g.line(g.cells[r]) }

func (g *grid) line(values []string) string {
	var b strings.Builder
	for i, v := range values {
		if i > 0 {
			b.WriteString(strings.Repeat(" ", gap))
		}
		c, w := g.columns[i], g.widths[i]
		if c.kind == kindPlace {
			v = cutLeft(v, w)
		} else {
			v = cutRight(v, w)
		}
		pad := strings.Repeat(" ", max(0, w-cells(v)))
		if c.kind.right() {
			b.WriteString(pad + v)
		} else if i == len(values)-1 {
			b.WriteString(v)
		} else {
			b.WriteString(v + pad)
		}
	}
	return b.String()
}

// print writes the whole grid.
func (g *grid) print(w io.Writer, p paint) error {
	var b strings.Builder
	b.WriteString(p.dim(g.header()) + "\n")
	for r := range g.cells {
		b.WriteString(g.row(r) + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// printTable writes a table for the app's screen, and tells what is not on it.
func (a *app) printTable(name string, t table) error {
	g := fit(t, a.width(), a.now())
	err := g.print(a.out, a.paint())
	if len(g.left) > 0 {
		a.notef("[%s] too narrow for: %s (--json has them)", name, strings.Join(g.left, ", "))
	}
	return err
}
