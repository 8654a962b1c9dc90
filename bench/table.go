package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// A table is what a section has to show. It prints as Markdown either way; the
// columns are aligned so that it reads as well in a terminal.
type table struct {
	title string
	head  []string
	rows  [][]string
}

func newTable[T any](title, first string, rest ...T) table {
	t := table{title: title, head: []string{first}}
	for _, h := range rest {
		t.head = append(t.head, fmt.Sprint(h))
	}
	return t
}

// add appends a row. A row may be longer than the head by one: the last is a note.
func (t *table) add(row ...string) { t.rows = append(t.rows, row) }

// measured drops the rows in which nothing was and reports whether any are left.
func (t *table) measured() bool {
	t.rows = slices.DeleteFunc(t.rows, func(row []string) bool {
		return !slices.ContainsFunc(row[1:min(len(row), len(t.head))], func(s string) bool {
			return s != "" && s != dash
		})
	})
	return len(t.rows) > 0
}

func (t *table) print(w io.Writer, md bool) {
	mark := ""
	if md {
		mark = "## "
	}
	fmt.Fprintf(w, "\n%s%s\n\n", mark, t.title)
	head := t.head
	for _, row := range t.rows {
		if len(row) > len(head) && row[len(row)-1] != "" {
			head = append(head[:len(head):len(head)], "note")
			break
		}
	}
	width := make([]int, len(head))
	for _, row := range append([][]string{head}, t.rows...) {
		for i, s := range row[:min(len(row), len(width))] {
			width[i] = max(width[i], utf8.RuneCountInString(s))
		}
	}
	rule := make([]string, len(head))
	for i := range rule {
		rule[i] = strings.Repeat("-", width[i])
		if t.right(i) {
			rule[i] = rule[i][1:] + ":"
		}
	}
	for _, row := range append([][]string{head, rule}, t.rows...) {
		var b strings.Builder
		for i := range head {
			s := ""
			if i < len(row) {
				s = row[i]
			}
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(s))
			if t.right(i) {
				s, pad = pad, s
			}
			b.WriteString("| " + s + pad + " ")
		}
		fmt.Fprintln(w, b.String()+"|")
	}
}

// right reports whether a column holds numbers: all but the first and the note.
func (t *table) right(i int) bool { return i > 0 && i < len(t.head) }

const dash = "–"

var nan = math.NaN()

func absent(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }

// nanosText has three digits that mean something, more where the number is long.
func nanosText(v float64) string {
	switch {
	case absent(v):
		return dash
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.0f", v)
	}
}

func ratioText(v, to float64) string {
	if absent(v/to) || to == 0 {
		return dash
	}
	return nanosText(v / to)
}

func countText[N int | float64](n N) string {
	if absent(float64(n)) || n == 0 {
		return dash
	}
	s := fmt.Sprintf("%.0f", float64(n))
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// allocsText keeps a fraction only where there is one.
func allocsText(v float64) string {
	switch {
	case absent(v):
		return dash
	case v < 0.005:
		return "0"
	case math.Abs(v-math.Round(v)) < 0.02:
		return fmt.Sprintf("%.0f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}
