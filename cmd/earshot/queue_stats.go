package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"time"

	"github.com/earshot-go/earshot/queue"
)

var queueStatsCommand = &command{
	name: "queue stats", args: "[QUEUE]", summary: "the queues, and how much waits in them", maxArgs: 1, local: true,
	doc: "Ready items are due, delayed ones wait for their time, leased ones are in the hands of a worker,\ndead ones wait for somebody to redrive or cancel them. OLDEST is how long the first ready one has\nbeen due.",
	examples: []example{
		{"earshot queue stats --store redis://127.0.0.1:6379/0", "all queues; \"earshot queue\" is the same"},
		{"earshot queue stats --watch --every 5s", "again and again, until Ctrl-C"},
		{"earshot queue --json | jq .totals.dead", "for a script"},
	},
	setup: func(a *app, fs *flag.FlagSet) func(context.Context, []string) error {
		a.storeFlag(fs)
		watch := fs.Bool("watch", false, "go on until Ctrl-C")
		every := fs.Duration("every", time.Second, "how often to look, with --watch")
		return func(ctx context.Context, args []string) error {
			if *every < 100*time.Millisecond {
				return usage("--every %v is too often: 100ms is the least", *every)
			}
			only := ""
			if len(args) > 0 {
				only = args[0]
			}
			d, err := a.depot("queue stats")
			if err != nil {
				return err
			}
			defer d.close()
			s, err := d.stats(ctx, only)
			if err != nil {
				return err
			}
			d.noteUnknown(s, only)
			if err := a.showStats(d.command, s); err != nil || !*watch {
				return err
			}
			return d.watch(ctx, only, *every, func(s queue.Stats) (bool, error) {
				return false, a.showStats(d.command+" "+a.now().Format("15:04:05"), s)
			})
		}
	},
}

// watch counts again and again, until show is done or ctx ends. A store that goes away is asked again.
func (d *depot) watch(ctx context.Context, only string, every time.Duration, show func(queue.Stats) (done bool, err error)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	lost := false
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		s, err := d.stats(ctx, only)
		switch {
		case err == nil && lost:
			d.app.notef("[%s] connected again", d.command)
			lost = false
		case err != nil && ctx.Err() == nil && code(ctx, err) == exitConnect:
			if !lost {
				d.app.notef("[%s] %s; trying again", d.command, clean(err.Error()))
			}
			lost = true
			continue
		}
		if err != nil {
			return err
		}
		if done, err := show(s); done || err != nil {
			return err
		}
	}
}

// A tally is what is in some queues together.
type tally struct {
	Ready   int `json:"ready"`
	Delayed int `json:"delayed"`
	Leased  int `json:"leased"`
	Dead    int `json:"dead"`
}

func total(s queue.Stats) (t tally) {
	for _, q := range s.Queues {
		t.Ready += q.Ready
		t.Delayed += q.Delayed
		t.Leased += q.Leased
		t.Dead += q.Dead
	}
	return t
}

func (t tally) String() string {
	return fmt.Sprintf("%s ready, %s delayed, %s leased, %s dead", grouped(fmt.Sprint(t.Ready)),
		grouped(fmt.Sprint(t.Delayed)), grouped(fmt.Sprint(t.Leased)), grouped(fmt.Sprint(t.Dead)))
}

// A queueJSON is a queue as --json writes it.
type queueJSON struct {
	Queue string `json:"queue"`
	tally
	OldestReady *time.Time `json:"oldest_ready"`
	Oldest      *float64   `json:"oldest_seconds"`
}

func queuesJSON(s queue.Stats) []queueJSON {
	list := []queueJSON{}
	for _, q := range s.Queues {
		j := queueJSON{Queue: q.Queue, tally: tally{q.Ready, q.Delayed, q.Leased, q.Dead}}
		if !q.OldestReady.IsZero() {
			age := max(0, s.Now.Sub(q.OldestReady).Seconds())
			j.OldestReady, j.Oldest = &q.OldestReady, &age
		}
		list = append(list, j)
	}
	return list
}

func (a *app) showStats(command string, s queue.Stats) error {
	if a.json {
		return a.writeJSON(map[string]any{"now": s.Now, "queues": queuesJSON(s), "totals": total(s)})
	}
	if len(s.Queues) == 0 {
		a.notef("[%s] nothing there", command)
		return nil
	}
	if err := a.printTable(command, queuesTable(s)); err != nil {
		return err
	}
	a.notef("[%s] %s: %v", command, counted(len(s.Queues), "queue"), total(s))
	return nil
}

func queuesTable(s queue.Stats) table {
	t := table{Name: "queues", Keys: []string{"queue", "ready", "delayed", "leased", "dead", "oldest"}}
	for _, q := range queuesJSON(s) {
		var oldest any
		if q.Oldest != nil {
			oldest = json.Number(fmt.Sprint(*q.Oldest))
		}
		t.Rows = append(t.Rows, []any{q.Queue, number(q.Ready), number(q.Delayed), number(q.Leased), number(q.Dead), oldest})
	}
	return t
}
