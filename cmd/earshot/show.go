package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"strings"
)

var showCommand = &command{
	name: "show", args: "NAME|REF", summary: "one channel with its subscribers, or one subscriber",
	minArgs: 1, maxArgs: 1,
	examples: []example{
		{"earshot show orders.paid", "a channel: type, meaning, who listens and how far behind"},
		{"earshot show 'ref#12'", "a subscriber, by its REF in \"earshot ls subscribers\"; 12 will do"},
	},
	setup: func(a *app, fs *flag.FlagSet) func(context.Context, []string) error {
		return func(ctx context.Context, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			defer c.close()
			p, err := c.show(ctx, args[0])
			if err != nil {
				return err
			}
			if a.json {
				return a.writeRaw(p.raw)
			}
			return a.showFacts(p)
		}
	},
}

// show looks for a subscriber if the name looks like one, and for a channel otherwise, and for the
// other one if there is none: a channel may well be named "7".
func (c *client) show(ctx context.Context, name string) (*page, error) {
	channel := func() (*page, error) {
		return c.get(ctx, "channel", url.Values{"name": {name}, "over": {observe}})
	}
	subscriber := func() (*page, error) {
		ref := name
		if !strings.HasPrefix(ref, "ref#") {
			ref = "ref#" + ref
		}
		return c.get(ctx, "subscriber", url.Values{"ref": {ref}, "over": {observe}})
	}
	first, second := channel, subscriber
	if strings.HasPrefix(name, "ref#") {
		first, second = subscriber, channel
	} else if strings.Trim(name, "0123456789") != "" {
		second = nil
	}
	p, err := first()
	var missing *notFound
	if errors.As(err, &missing) && second != nil {
		if other, err2 := second(); err2 == nil {
			return other, nil
		}
	}
	if errors.As(err, &missing) && missing.hint == "" {
		missing.hint = "\"earshot ls\" lists the channels, \"earshot ls subscribers\" the subscribers"
	}
	return p, err
}

// showFacts writes a page about one thing: a table with one row as a list of its properties, others as
// tables.
func (a *app) showFacts(p *page) error {
	var b strings.Builder
	paint := a.paint()
	fmt.Fprintf(&b, "%s\n", paint.bold(clean(p.Title)))
	if p.Summary != "" {
		fmt.Fprintf(&b, "%s\n", paint.status(p.Status, clean(p.Summary)))
	}
	if _, err := fmt.Fprint(a.out, b.String()); err != nil {
		return err
	}
	for i, t := range p.Tables {
		if len(t.Rows) == 0 {
			continue
		}
		var err error
		if i == 0 && len(t.Rows) == 1 {
			err = a.printFacts(t)
		} else if _, err = fmt.Fprintf(a.out, "\n%s\n", paint.bold(heading(t.Name))); err == nil {
			err = a.printTable("show", t)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *app) printFacts(t table) error {
	longest := 0
	for _, key := range t.Keys {
		longest = max(longest, cells(clean(key)))
	}
	var b strings.Builder
	for i, key := range t.Keys {
		label := strings.ReplaceAll(clean(key), "_", " ")
		value := describe(&t, i).kind.format(t.Rows[0][i], a.now())
		if w := a.width(); w > 0 {
			value = cutRight(value, max(8, w-longest-4))
		}
		fmt.Fprintf(&b, "  %s%s  %s\n", a.paint().dim(label), strings.Repeat(" ", longest-cells(label)), value)
	}
	_, err := fmt.Fprint(a.out, b.String())
	return err
}
