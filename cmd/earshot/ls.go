package main

import (
	"context"
	"flag"
	"fmt"
	"net/url"
	"strings"
)

var lsCommand = &command{
	name: "ls", args: "[channels|subscribers|PANEL]", summary: "a table: channels, subscribers, or a program's own panel",
	maxArgs: 1, choices: []string{"channels", "subscribers", "slow"},
	doc: "A panel is a page that the program has added, such as queues; its name is the last part of\nthe page's address.",
	examples: []example{
		{"earshot ls", "channels, declared and live"},
		{"earshot ls subscribers --sort -depth", "who is behind, the furthest first"},
		{"earshot ls channels --match orders. --json", "a part of them, for a script"},
	},
	setup: func(a *app, fs *flag.FlagSet) func(context.Context, []string) error {
		sort := fs.String("sort", "", "sort by this `COLUMN`, as --json names it; -COLUMN for the largest first")
		match := fs.String("match", "", "only rows that contain this `TEXT`")
		return func(ctx context.Context, args []string) error {
			name := "channels"
			if len(args) > 0 {
				name = args[0]
			}
			if !isPageName(name) {
				return usage("\"%s\" is no name of a page: channels, subscribers, or a panel's", clean(name))
			}
			q := url.Values{"over": {observe}}
			if *sort != "" {
				q.Set("sort", *sort)
			}
			if *match != "" {
				q.Set("q", *match)
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			defer c.close()
			p, err := c.get(ctx, name, q)
			if err != nil {
				return err
			}
			return a.showPage("ls", p)
		}
	},
}

// isPageName keeps "ls ../../../metrics" from being an address of its own.
func isPageName(name string) bool {
	return name != "" && len(name) <= 100 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

// showPage writes the tables of a page. With one table that is all; with several each has a heading.
// The summary is for people and goes to stderr, so that what is on stdout is a table.
func (a *app) showPage(command string, p *page) error {
	if a.json {
		return a.writeRaw(p.raw)
	}
	shown := 0
	for _, t := range p.Tables {
		if len(t.Rows) == 0 {
			continue
		}
		if len(p.Tables) > 1 {
			before := ""
			if shown > 0 {
				before = "\n"
			}
			if _, err := fmt.Fprintf(a.out, "%s%s\n", before, a.paint().bold(heading(t.Name))); err != nil {
				return err
			}
		}
		if err := a.printTable(command, t); err != nil {
			return err
		}
		shown++
	}
	if p.Summary != "" {
		a.notef("[%s] %s", command, clean(p.Summary))
	} else if shown == 0 {
		a.notef("[%s] nothing there", command)
	}
	return nil
}
