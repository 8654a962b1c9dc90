package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/earshot-go/earshot/queue"
)

var queueDrainCommand = &command{
	name: "queue drain", args: "[QUEUE]", summary: "wait until all work is done", maxArgs: 1, local: true,
	doc: "Waits until nothing is ready or leased; it works on nothing itself. What has failed and waits for\nits next try is delayed. Exits with 1, and with what is left, when the time is over.",
	examples: []example{
		{"earshot queue drain --for 2m", "before a migration, once nobody publishes any more"},
		{"earshot queue drain mail --delayed --for 0", "until all of it is done, however long that takes"},
	},
	setup: func(a *app, fs *flag.FlagSet) func(context.Context, []string) error {
		a.storeFlag(fs)
		w := &drain{}
		fs.BoolVar(&w.delayed, "delayed", false, "wait for delayed items as well")
		patience := fs.Duration("for", 5*time.Minute, "give up after this `TIME`; 0: never")
		every := fs.Duration("every", time.Second, "how often to look")
		return func(ctx context.Context, args []string) error {
			switch {
			case *every < 100*time.Millisecond:
				return usage("--every %v is too often: 100ms is the least", *every)
			case *patience < 0:
				return usage("--for %v: it must not be negative", *patience)
			}
			if len(args) > 0 {
				w.only = args[0]
			}
			var err error
			if w.depot, err = a.depot("queue drain"); err != nil {
				return err
			}
			defer w.depot.close()
			if *patience > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeoutCause(ctx, *patience, errDrainOver)
				defer cancel()
			}
			return w.run(ctx, *every, *patience)
		}
	},
}

var errDrainOver = errors.New("the time for draining is over")

// A drain waits for queues to be empty.
type drain struct {
	*depot
	only    string
	delayed bool

	progress *progress
	began    time.Time
	first    int // how many items there were then
	latest   queue.Stats
	empty    bool // when looked at before: see look
}

func (w *drain) run(ctx context.Context, every, patience time.Duration) error {
	w.progress, w.began = w.app.newProgress(w.command), w.app.now()
	defer w.progress.end()
	s, err := w.stats(ctx, w.only)
	if err != nil {
		if errors.Is(err, errDrainOver) {
			return fail(exitConnect, "", "%s did not answer within %v", w.shown, patience)
		}
		return err
	}
	w.noteUnknown(s, w.only)
	w.first = w.left(s)
	if done, err := w.look(s); done || err != nil {
		return err
	}
	err = w.watch(ctx, w.only, every, w.look)
	if !errors.Is(err, errDrainOver) {
		return err
	}
	w.progress.end()
	if err := w.say(false); err != nil {
		return err
	}
	return fail(exitFailed, "", "not done after %s: %v", short(patience), total(w.latest))
}

// left is how many items have to be waited for.
func (w *drain) left(s queue.Stats) int {
	t := total(s)
	n := t.Ready + t.Leased
	if w.delayed {
		n += t.Delayed
	}
	return n
}

// look reports whether the queues are empty, for the second time in a row: an item that changes its state
// while a store counts may be seen in none.
func (w *drain) look(s queue.Stats) (done bool, err error) {
	left := w.left(s)
	was := w.empty
	w.latest, w.empty = s, left == 0
	if left == 0 {
		if !was {
			return false, nil
		}
		w.progress.end()
		return true, w.say(true)
	}
	text := fmt.Sprintf("%v", total(s))
	took := w.app.now().Sub(w.began).Seconds()
	if did := w.first - left; did > 0 && took > 0 {
		per := float64(did) / took
		text += fmt.Sprintf("; %s/s, done in about %s", rate(per), short(time.Duration(float64(left)/per*1e9).Round(time.Second)))
	}
	w.progress.say("%s", text)
	return false, nil
}

// say tells how it has ended.
func (w *drain) say(empty bool) error {
	t := total(w.latest)
	took := w.app.now().Sub(w.began)
	switch {
	case w.app.json:
		return w.app.writeJSON(map[string]any{
			"empty": empty, "totals": t, "queues": queuesJSON(w.latest), "took_seconds": took.Round(time.Millisecond).Seconds(),
		})
	case !empty:
		return w.app.printTable(w.command, queuesTable(w.latest))
	}
	if _, err := fmt.Fprintf(w.app.out, "empty after %s\n", short(took.Round(time.Millisecond))); err != nil {
		return err
	}
	if t.Delayed+t.Dead > 0 {
		w.app.notef("[%s] there are %v", w.command, t)
	}
	return nil
}
