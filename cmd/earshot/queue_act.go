package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"github.com/earshot-go/earshot/queue"
)

var queueRetryCommand = &command{
	name: "queue retry", args: "ID...", summary: "have these items worked on now: dead ones, and those that wait", minArgs: 1, maxArgs: -1, local: true, dashArgs: isItemID,
	doc: "Exits with 1 if one of them is leased, or not there. \"earshot queue redrive\" is for many.",
	examples: []example{
		{"earshot queue retry 2vTh0fGmTjH8nYVQx3kq1w", "one item, by its ID in \"earshot queue ls\""},
		{"earshot queue retry 2vTh0fGmTjH8nYVQx3kq1w h2nN6q8yRk0e5pQxW1vZzA --json", "several; says what became of each"},
	},
	setup: func(a *app, fs *flag.FlagSet) func(context.Context, []string) error {
		a.storeFlag(fs)
		return func(ctx context.Context, args []string) error {
			d, err := a.depot("queue retry")
			if err != nil {
				return err
			}
			defer d.close()
			redriver, err := able[queue.Redriver](d, "make items due")
			if err != nil {
				return err
			}
			return d.each(ctx, args, redriver.Redrive, "due", "due now")
		}
	},
}

var queueCancelCommand = &command{
	name: "queue cancel", args: "ID...", summary: "remove these items; those that are leased stay", minArgs: 1, maxArgs: -1, local: true, dashArgs: isItemID,
	doc: "What is removed is gone for good. Exits with 1 if one of them is leased, or not there.",
	examples: []example{
		{"earshot queue cancel 2vTh0fGmTjH8nYVQx3kq1w", "one item, by its ID in \"earshot queue ls\""},
		{"earshot queue ls mail --name user.added --json | jq -r '.items[].id' | xargs earshot queue cancel", "some"},
	},
	setup: func(a *app, fs *flag.FlagSet) func(context.Context, []string) error {
		a.storeFlag(fs)
		return func(ctx context.Context, args []string) error {
			d, err := a.depot("queue cancel")
			if err != nil {
				return err
			}
			defer d.close()
			finder, err := able[queue.Finder](d, "remove items")
			if err != nil {
				return err
			}
			return d.each(ctx, args, finder.Remove, "removed", "removed")
		}
	},
}

// A deed is what became of an item.
type deed struct {
	ID     string `json:"id"`
	Result string `json:"result"` // due, removed, leased or missing
	says   string
	failed bool
}

// each does something to items, one by one, and tells what became of each.
func (d *depot) each(ctx context.Context, ids []string, do func(context.Context, queue.Query) (int, error), result, says string) error {
	failed := 0
	deeds := []deed{}
	for _, id := range ids {
		n, err := ask(ctx, d, func(ctx context.Context) (int, error) { return do(ctx, queue.Query{ID: id}) })
		if err != nil {
			return err
		}
		one := deed{ID: id, Result: result, says: says}
		if n == 0 {
			if one, err = d.why(ctx, id); err != nil {
				return err
			}
		}
		if one.failed {
			failed++
		}
		if deeds = append(deeds, one); d.app.json {
			continue
		}
		if _, err := fmt.Fprintf(d.app.out, "%s  %s\n", clean(id), one.says); err != nil {
			return err
		}
	}
	if d.app.json {
		if err := d.app.writeJSON(map[string]any{"items": deeds}); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fail(exitFailed, "", "%s of %s stay as they are", grouped(fmt.Sprint(failed)), counted(len(ids), "item"))
	}
	return nil
}

// why looks for the reason that an item was left as it is.
func (d *depot) why(ctx context.Context, id string) (deed, error) {
	r, err := d.one(ctx, id)
	if err != nil {
		return deed{}, err
	}
	now, err := d.now(ctx)
	switch {
	case err != nil:
		return deed{}, err
	case r == nil:
		return deed{id, "missing", "is not there: it may be done, and gone", true}, nil
	case r.State == queue.StateLeased:
		return deed{id, "leased", leasedBy(r, now), true}, nil
	}
	return deed{id, "due", "was due already", false}, nil
}

func leasedBy(r *queue.Record, now time.Time) string {
	text := "is leased, and stays"
	if r.Worker != "" {
		text = "is leased by " + clean(r.Worker) + ", and stays"
	}
	if !r.Until.After(now) {
		return text + "; the lease is over, the next worker gets it"
	}
	return text + "; the lease ends " + moment(r.Until, now)
}
