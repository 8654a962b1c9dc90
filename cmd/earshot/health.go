package main

import (
	"context"
	"flag"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// observe has the server watch for so long before it answers, so that rates and slow subscribers are
// known at the first look. A test has less patience.
var observe = "700ms"

var healthCommand = &command{
	name: "health", summary: "is all well? one screen; what \"earshot\" alone does",
	doc: "Exits with 1 if the state is \"bad\", so that a script can ask.",
	examples: []example{
		{"earshot", "the program whose page is at " + defaultURL},
		{"earshot --url 10.0.0.7:8125", "another one"},
		{"earshot --json | jq .status", "for a script"},
	},
	setup: func(a *app, _ *flag.FlagSet) func(context.Context, []string) error {
		return func(ctx context.Context, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			defer c.close()
			p, err := c.get(ctx, "overview", url.Values{"over": {observe}})
			if err != nil {
				return err
			}
			if a.json {
				err = a.writeRaw(p.raw)
			} else {
				err = a.showHealth(c, p)
			}
			if err == nil && p.Status == "bad" {
				err = fail(exitFailed, "", "")
			}
			return err
		}
	},
}

func (a *app) showHealth(c *client, p *page) error {
	var b strings.Builder
	paint := a.paint()
	fmt.Fprintf(&b, "%s  %s\n", paint.status(p.Status, paint.bold(strings.ToUpper(clean(p.Status)))), clean(p.Summary))
	facts := append([]string{clean(c.base.Redacted())}, a.about(p.table("about"))...)
	b.WriteString(paintLines(paint.dim, a.wrap(facts)))
	facts = a.totals(p.table("totals"))
	if len(facts) > 0 {
		b.WriteString("\n" + a.wrap(facts))
	}
	if _, err := fmt.Fprint(a.out, b.String()); err != nil {
		return err
	}
	for _, t := range p.Tables {
		if t.Name == "about" || t.Name == "totals" || len(t.Rows) == 0 {
			continue
		}
		if _, err := fmt.Fprintf(a.out, "\n%s\n", paint.bold(heading(t.Name))); err != nil {
			return err
		}
		if err := a.printTable("health", t); err != nil {
			return err
		}
	}
	return nil
}

// about says what the program is. What speaks for itself has no name in front.
func (a *app) about(t table) (facts []string) {
	for i, key := range t.Keys {
		if len(t.Rows) == 0 || t.Rows[0][i] == nil {
			continue
		}
		text := describe(&t, i).kind.format(t.Rows[0][i], a.now())
		switch key {
		case "started", "build_info": // uptime says it, or nobody needs it here
			continue
		case "go", "program", "module", "access":
		case "pid":
			text = "pid " + jsonText(t.Rows[0][i])
		case "uptime":
			text = "up " + text
		default:
			text = strings.ReplaceAll(clean(key), "_", " ") + " " + text
		}
		facts = append(facts, text)
	}
	return facts
}

// totals returns the program's numbers with their names, those of some keys first.
func (a *app) totals(t table, first ...string) (facts []string) {
	if len(t.Rows) == 0 {
		return nil
	}
	add := func(i int) {
		if v := t.Rows[0][i]; v != nil {
			facts = append(facts, strings.ReplaceAll(clean(t.Keys[i]), "_", " ")+" "+describe(&t, i).kind.format(v, a.now()))
		}
	}
	for _, key := range first {
		if i := t.column(key); i >= 0 {
			add(i)
		}
	}
	for i, key := range t.Keys {
		if !slices.Contains(first, key) {
			add(i)
		}
	}
	return facts
}

// heading makes "Deepest" of "deepest".
func heading(name string) string {
	name = strings.ReplaceAll(clean(name), "_", " ")
	if name == "" {
		return ""
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// wrap joins facts to lines that fit the screen.
func (a *app) wrap(facts []string) string {
	const sep = " · "
	width := a.width()
	var b strings.Builder
	used := 0
	for _, f := range facts {
		if f == "" {
			continue
		}
		if width > 0 {
			f = cutRight(f, width)
		}
		n := cells(f)
		switch {
		case used == 0:
		case width > 0 && used+len(sep)-1+n > width:
			b.WriteString("\n")
			used = 0
		default:
			b.WriteString(sep)
			used += len(sep) - 1 // the dot has two bytes and one cell
		}
		b.WriteString(f)
		used += n
	}
	b.WriteString("\n")
	return b.String()
}

// paintLines paints each line for itself, so that no colour reaches over a line's end.
func paintLines(with func(string) string, text string) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i := range lines {
		lines[i] = with(lines[i])
	}
	return strings.Join(lines, "\n") + "\n"
}
