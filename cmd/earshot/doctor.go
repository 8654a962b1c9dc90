package main

import (
	"context"
	"flag"
	"fmt"
	"strings"
)

var doctorCommand = &command{
	name: "doctor", summary: "what is wrong with the set-up, and how to mend it",
	doc: "It looks at the connection, who is let in, streaming, and what the channels' numbers say. It\nsends no events. Exits with 1 if something is bad; what is only worth a look is no failure.",
	examples: []example{
		{"earshot doctor", "the program at " + defaultURL},
		{"earshot doctor --url https://shop.example/debug/earshot/ --json", "as seen from here, for a script"},
	},
	setup: func(a *app, _ *flag.FlagSet) func(context.Context, []string) error {
		return func(ctx context.Context, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			defer c.close()
			d := &doctor{app: a, client: c}
			for _, check := range checkups {
				check.look(ctx, d, check.name)
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				if d.stop {
					break
				}
			}
			return d.tell()
		}
	},
}

// A doctor goes from one check to the next, and keeps what they find.
type doctor struct {
	app    *app
	client *client
	pages  map[string]*page // as fetched
	found  []finding
	stop   bool // there is no use in going on
}

// A finding is what a check says.
type finding struct {
	Check string `json:"check"`
	Level string `json:"level"` // ok, note, warn, bad
	Text  string `json:"text"`
	Fix   string `json:"fix,omitempty"` // of all but ok
}

// A checkup looks at one thing. Each says something, also if all is well: what was not looked at is
// not known to be well.
type checkup struct {
	name string
	look func(ctx context.Context, d *doctor, name string)
}

func (d *doctor) ok(check, format string, args ...any) {
	d.found = append(d.found, finding{check, "ok", fmt.Sprintf(format, args...), ""})
}

func (d *doctor) finds(level, check, fix, format string, args ...any) {
	d.found = append(d.found, finding{check, level, fmt.Sprintf(format, args...), fix})
}

// page returns a page that a check before has fetched, an empty one otherwise.
func (d *doctor) page(name string) *page {
	if p := d.pages[name]; p != nil {
		return p
	}
	return &page{}
}

func (d *doctor) tell() error {
	bad, warn := 0, 0
	for _, f := range d.found {
		switch f.Level {
		case "bad":
			bad++
		case "warn":
			warn++
		}
	}
	status, summary := "ok", "All is well."
	switch {
	case bad > 0:
		status, summary = "bad", plural(uint64(bad), "fault")+", "+plural(uint64(warn), "warning")+"."
	case warn > 0:
		status, summary = "warn", plural(uint64(warn), "warning")+"."
	}
	if err := d.write(status, summary); err != nil {
		return err
	}
	if bad > 0 {
		return fail(exitFailed, "", "")
	}
	return nil
}

func (d *doctor) write(status, summary string) error {
	a := d.app
	if a.json {
		return a.writeJSON(map[string]any{
			"title": "doctor", "status": status, "summary": summary, "url": d.client.base.Redacted(), "findings": d.found,
		})
	}
	var b strings.Builder
	p := a.paint()
	for _, f := range d.found {
		level := f.Level
		if level == "note" {
			level = "ok" // in colour only
		}
		fmt.Fprintf(&b, "%s %s: %s\n", p.status(level, pad(f.Level, 4)), f.Check, clean(f.Text))
		if f.Fix != "" {
			fmt.Fprintf(&b, "     %s\n", clean(f.Fix))
		}
	}
	fmt.Fprintf(&b, "%s\n", p.bold(summary))
	_, err := fmt.Fprint(a.out, b.String())
	return err
}
