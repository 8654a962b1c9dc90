package main

import (
	"context"
	"flag"
	"net/url"
	"time"
)

var slowCommand = &command{
	name: "slow", summary: "subscribers that do not keep up, with the line where they subscribed",
	doc: "The server notices a subscriber when events have waited for it too long. It tells the place in\nthe source where it subscribed, and for how long its handler has been running.",
	examples: []example{
		{"earshot slow", "now, and those of late"},
		{"earshot slow --watch", "until Ctrl-C, whenever something changes"},
		{"earshot slow --json | jq '.slow[].site'", "whom to blame"},
	},
	setup: func(a *app, fs *flag.FlagSet) func(context.Context, []string) error {
		watch := fs.Bool("watch", false, "go on until Ctrl-C")
		every := fs.Duration("every", time.Second, "how often to look, with --watch")
		return func(ctx context.Context, _ []string) error {
			if *every < 100*time.Millisecond {
				return usage("--every %v is too often: 100ms is the least", *every)
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			defer c.close()
			p, err := c.get(ctx, "slow", url.Values{"over": {observe}})
			if err != nil {
				return err
			}
			if !*watch {
				return a.showPage("slow", p)
			}
			return a.watchSlow(ctx, c, p, *every)
		}
	},
}

// watchSlow shows the page whenever another subscriber is on it, or one is gone. Depths change all the
// time; that would be no news.
func (a *app) watchSlow(ctx context.Context, c *client, p *page, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	shown := "nothing yet"
	lost := false
	for {
		if p != nil {
			if who := slowOnes(p); who != shown {
				shown = who
				if err := a.showPage("slow "+a.now().Format("15:04:05"), p); err != nil {
					return err
				}
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		var err error
		if p, err = c.get(ctx, "slow", nil); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if code(ctx, err) != exitConnect {
				return err
			}
			if !lost {
				a.notef("[slow] %s; trying again", clean(err.Error()))
			}
			lost, p = true, nil
			continue
		}
		if lost {
			a.notef("[slow] connected again")
			lost = false
		}
	}
}

// slowOnes returns who is slow now, as one text to compare.
func slowOnes(p *page) (who string) {
	t := p.table("slow")
	for i := range t.Rows {
		who += t.text(i, "ref") + "\x00"
	}
	return who
}
