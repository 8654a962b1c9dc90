package main

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/earshot-go/earshot/queue"
)

const mostItems = 10_000 // in one list

var queueLsCommand = &command{
	name: "queue ls", args: "[QUEUE]", summary: "items, the oldest first", maxArgs: 1, local: true,
	doc: "A list that is cut says with which --after it goes on. --json has the payloads as well.",
	examples: []example{
		{"earshot queue ls", "of all queues"},
		{"earshot queue ls mail --state leased", "what is worked on"},
		{"earshot queue ls --tid 'user 17' --json | jq '.items[].payload'", "all about somebody"},
	},
	setup: func(a *app, fs *flag.FlagSet) func(context.Context, []string) error {
		l := newListing(a, fs)
		fs.StringVar((*string)(&l.query.State), "state", "", "only those in this `STATE`: pending, leased or dead")
		return func(ctx context.Context, args []string) error {
			return l.run(ctx, "queue ls", args, []string{"id", "queue", "name", "tid", "state", "when", "fails", "deliveries", "size"})
		}
	},
}

var queueDeadCommand = &command{
	name: "queue dead", args: "[QUEUE]", summary: "dead items, and what of", maxArgs: 1, local: true,
	doc: "An item is dead after too many fails, and stays until somebody redrives or cancels it. Of its\nreason the first line is shown; \"earshot queue show\" has all of it.",
	examples: []example{
		{"earshot queue dead", "of all queues"},
		{"earshot queue dead mail --name user.added", "some of them"},
		{"earshot queue dead --json | jq -r '.items[].id'", "for \"earshot queue retry\""},
	},
	setup: func(a *app, fs *flag.FlagSet) func(context.Context, []string) error {
		l := newListing(a, fs)
		l.query.State = queue.StateDead
		return func(ctx context.Context, args []string) error {
			return l.run(ctx, "queue dead", args, []string{"id", "queue", "name", "tid", "fails", "when", "reason"})
		}
	},
}

// A listing is some of the items of a store.
type listing struct {
	*app
	query queue.Query
	limit int
}

func newListing(a *app, fs *flag.FlagSet) *listing {
	l := &listing{app: a}
	a.storeFlag(fs)
	fs.StringVar(&l.query.Name, "name", "", "only those of this `NAME`")
	fs.StringVar(&l.query.TID, "tid", "", "only those about this `TID`")
	fs.StringVar(&l.query.After, "after", "", "only those after this `CURSOR`, of the list before")
	fs.IntVar(&l.limit, "limit", 100, "at most `N` items")
	return l
}

func (l *listing) run(ctx context.Context, command string, args, columns []string) error {
	if l.limit < 1 || l.limit > mostItems {
		return usage("--limit %d: between 1 and %d", l.limit, mostItems)
	}
	if len(args) > 0 {
		l.query.Queue = args[0]
	}
	if err := l.query.Validate(true); err != nil {
		return usage("%v", err)
	}
	d, err := l.depot(command)
	if err != nil {
		return err
	}
	defer d.close()
	now, err := d.now(ctx)
	if err != nil {
		return err
	}
	t := table{Name: "items", Keys: columns}
	items := []itemJSON{}
	next, err := d.find(ctx, l.query, l.limit, func(r *queue.Record) error {
		if l.json {
			items = append(items, newItemJSON(r))
		} else {
			t.Rows = append(t.Rows, cellsOf(r, columns, now))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if l.json {
		return l.writeJSON(map[string]any{"items": items, "next": textOrNone(next), "now": now})
	}
	return l.show(d, t, next)
}

func (l *listing) show(d *depot, t table, next string) error {
	summary := counted(len(t.Rows), "item")
	if len(t.Rows) == 0 {
		summary = "nothing there"
	} else if err := l.printTable(d.command, t); err != nil {
		return err
	}
	if next != "" {
		summary += ", and there are more: --after " + clean(next)
	}
	l.notef("[%s] %s", d.command, summary)
	return nil
}

// cellsOf is a row about an item.
func cellsOf(r *queue.Record, columns []string, now time.Time) (row []any) {
	for _, c := range columns {
		var v any
		switch c {
		case "id":
			v = r.ID
		case "queue":
			v = r.Queue
		case "name":
			v = r.Name
		case "tid":
			v = textOrNone(r.TID)
		case "state":
			v = string(r.State)
		case "when":
			v = fate(r, now)
		case "fails":
			v = number(r.Fails)
		case "deliveries":
			v = number(r.Deliveries)
		case "size":
			v = number(len(r.Payload))
		case "reason":
			v = textOrNone(firstLine(r.Reason))
		}
		row = append(row, v)
	}
	return row
}

// firstLine returns the first line of a reason that has something on it, which says the most.
func firstLine(text string) string {
	line, rest, more := strings.Cut(strings.TrimSpace(text), "\n")
	if line = strings.TrimSpace(line); more && rest != "" {
		line += " …"
	}
	return line
}

// counted writes "1 item" and "2,500 items".
func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return grouped(fmt.Sprint(n)) + " " + what
}
