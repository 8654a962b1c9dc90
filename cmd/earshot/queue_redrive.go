package main

import (
	"context"
	"flag"
	"fmt"

	"github.com/earshot-go/earshot/queue"
)

const redriveAtOnce = 500

var queueRedriveCommand = &command{
	name: "queue redrive", args: "QUEUE|--all", summary: "have dead items worked on again, all of a queue", maxArgs: 1, local: true,
	doc: "They are due at once, the oldest first, with as many fails left as a new item. What dies again\nmeanwhile is not tried for ever: so many are redriven as were dead at the beginning.",
	examples: []example{
		{"earshot queue redrive mail", "all dead items of a queue"},
		{"earshot queue redrive mail --name user.added --limit 10", "some of them, to see whether it works now"},
		{"earshot queue redrive --all", "of all queues"},
	},
	setup: func(a *app, fs *flag.FlagSet) func(context.Context, []string) error {
		a.storeFlag(fs)
		all := fs.Bool("all", false, "of all queues")
		q := queue.Query{State: queue.StateDead}
		fs.StringVar(&q.Name, "name", "", "only those of this `NAME`")
		limit := fs.Int("limit", 0, "at most `N` items")
		return func(ctx context.Context, args []string) error {
			switch {
			case *all == (len(args) > 0):
				return usage("needs either a queue or --all")
			case *limit < 0:
				return usage("--limit %d: it must not be negative", *limit)
			case len(args) > 0:
				q.Queue = args[0]
			}
			d, err := a.depot("queue redrive")
			if err != nil {
				return err
			}
			defer d.close()
			return d.redrive(ctx, q, *limit)
		}
	},
}

// redrive redrives what is dead now, some at a time, so that no call takes long.
func (d *depot) redrive(ctx context.Context, q queue.Query, limit int) error {
	redriver, err := able[queue.Redriver](d, "redrive items")
	if err != nil {
		return err
	}
	before, err := d.stats(ctx, q.Queue)
	if err != nil {
		return err
	}
	d.noteUnknown(before, q.Queue)
	most := total(before).Dead
	if limit > 0 {
		most = min(most, limit)
	}
	p := d.app.newProgress(d.command)
	done := 0
	for done < most && err == nil {
		q.Limit = min(redriveAtOnce, most-done)
		var n int
		n, err = ask(ctx, d, func(ctx context.Context) (int, error) { return redriver.Redrive(ctx, q) })
		if done += n; n < q.Limit {
			break
		}
		p.say("%s of %s", grouped(fmt.Sprint(done)), grouped(fmt.Sprint(most)))
	}
	p.end()
	if err != nil { // what was done is done
		d.app.notef("[%s] %s redriven before that", d.command, counted(done, "item"))
		return err
	}
	after, err := d.stats(ctx, q.Queue)
	if err != nil {
		return err
	}
	left := total(after).Dead
	if d.app.json {
		return d.app.writeJSON(map[string]any{"redriven": done, "dead": left})
	}
	if _, err := fmt.Fprintf(d.app.out, "%s redriven\n", counted(done, "item")); err != nil {
		return err
	}
	if left > 0 {
		d.app.notef("[%s] dead now: %s", d.command, counted(left, "item"))
	}
	return nil
}
