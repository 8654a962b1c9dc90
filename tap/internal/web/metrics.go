package web

import (
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/earshot-go/earshot/tap/panel"
)

// MaxLabels is how many values of a label a metric has. Names of channels
// come from data as often as not, and every new value is a series that a
// Prometheus server keeps for good; what is beyond is summed as "_other".
const MaxLabels = 200

// Metrics writes the columns of the views that have a Metric, in the
// Prometheus text format 0.0.4. Rows of a table with equal labels are summed.
// A table that repeats a sample of an earlier one, as an overview does, adds
// nothing.
func Metrics(w io.Writer, views ...panel.View) error {
	var all families
	for i := range views {
		for j := range views[i].Tables {
			all.add(&views[i].Tables[j])
		}
	}
	var b []byte
	for _, f := range all.list {
		b = f.append(b)
	}
	_, err := w.Write(b)
	return err
}

// The samples of one metric have to stand together, wherever they come from.
type family struct {
	name, help string
	counter    bool
	seen       map[string]bool // labels of tables before
	samples    []sample
}

type sample struct {
	labels string // written out: {channel="orders.paid"}
	value  number
}

type families struct {
	list   []*family
	byName map[string]*family
}

func (fs *families) get(name string, col *panel.Column) *family {
	if f := fs.byName[name]; f != nil {
		return f
	}
	if fs.byName == nil {
		fs.byName = make(map[string]*family)
	}
	f := &family{name: name, help: col.Doc, counter: col.Counter, seen: make(map[string]bool)}
	fs.byName[name] = f
	fs.list = append(fs.list, f)
	return f
}

func (fs *families) add(t *panel.Table) {
	if !slices.ContainsFunc(t.Columns, func(c panel.Column) bool { return c.Metric != "" }) {
		return
	}
	labels := labelsOf(t)
	for i := range t.Columns {
		col := &t.Columns[i]
		if col.Metric == "" {
			continue
		}
		f := fs.get(metricName(col.Metric, true), col)
		at := make(map[string]int)
		for j, r := range t.Rows {
			if i >= len(r) {
				continue
			}
			c := read(col.Kind, r[i])
			if !c.isNum || f.seen[labels[j]] {
				continue
			}
			if k, ok := at[labels[j]]; ok {
				f.samples[k].value = f.samples[k].value.add(c.num)
				continue
			}
			at[labels[j]] = len(f.samples)
			f.samples = append(f.samples, sample{labels[j], c.num})
		}
		for l := range at {
			f.seen[l] = true
		}
	}
}

// labelsOf writes the labels of each row. The values that are kept are the
// first ones by the alphabet, not by the order of the rows: that one changes
// with each look, and a series would come and go.
func labelsOf(t *panel.Table) []string {
	out := make([]string, len(t.Rows))
	for i, col := range t.Columns {
		if !col.Dim {
			continue
		}
		values := make([]string, len(t.Rows))
		for j, r := range t.Rows {
			if i < len(r) {
				values[j] = read(col.Kind, r[i]).label(col.Kind)
			}
		}
		kept := slices.Clone(values)
		slices.Sort(kept)
		kept = slices.Compact(kept)
		if len(kept) > MaxLabels {
			kept = kept[:MaxLabels]
			for j, v := range values {
				if _, ok := slices.BinarySearch(kept, v); !ok {
					values[j] = "_other"
				}
			}
		}
		name := metricName(col.Key, false)
		for j, v := range values {
			if v == "" { // the same as no label
				continue
			}
			if out[j] != "" {
				out[j] += ","
			}
			out[j] += name + `="` + escapeLabel(v) + `"`
		}
	}
	for j := range out {
		if out[j] != "" {
			out[j] = "{" + out[j] + "}"
		}
	}
	return out
}

// label is the cell as the value of a label.
func (c cell) label(kind panel.Kind) string {
	if !c.known || !c.isNum {
		return c.text
	}
	return strings.Trim(string(c.appendJSON(nil, kind)), `"`)
}

func (f *family) append(b []byte) []byte {
	if len(f.samples) == 0 {
		return b
	}
	if f.help != "" {
		b = append(b, "# HELP "+f.name+" "+escapeHelp(f.help)+"\n"...)
	}
	kind := " gauge\n"
	if f.counter {
		kind = " counter\n"
	}
	b = append(b, "# TYPE "+f.name+kind...)
	for _, s := range f.samples {
		b = append(b, f.name+s.labels+" "...)
		b = append(s.value.append(b), '\n')
	}
	return b
}

// metricName makes a name valid rather than lose its numbers: one bad line
// makes Prometheus refuse the whole page.
func metricName(s string, colon bool) string {
	valid := func(i int, c byte) bool {
		return c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z' || colon && c == ':' || i > 0 && isDigit(c)
	}
	b := []byte(s)
	for i, c := range b {
		if !valid(i, c) {
			b[i] = '_'
		}
	}
	if len(b) == 0 {
		return "_"
	}
	return string(b)
}

var (
	helpEscapes  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	labelEscapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

func escapeHelp(s string) string  { return helpEscapes.Replace(toValid(s)) }
func escapeLabel(s string) string { return labelEscapes.Replace(toValid(s)) }

func toValid(s string) string { return strings.ToValidUTF8(s, string(utf8.RuneError)) }
