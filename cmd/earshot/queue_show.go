package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/earshot-go/earshot/queue"
)

var queueShowCommand = &command{
	name: "queue show", args: "ID", summary: "all about one item", minArgs: 1, maxArgs: 1, local: true, dashArgs: isItemID,
	doc: "A terminal gets the beginning of a large payload, a pipe all of it. What would move the cursor or\ncolour the screen is written as an escape.",
	examples: []example{
		{"earshot queue show 2vTh0fGmTjH8nYVQx3kq1w", "an item, by its ID in \"earshot queue ls\""},
		{"earshot queue show 2vTh0fGmTjH8nYVQx3kq1w --json | jq .payload", "its payload alone"},
	},
	setup: func(a *app, fs *flag.FlagSet) func(context.Context, []string) error {
		a.storeFlag(fs)
		return func(ctx context.Context, args []string) error {
			d, err := a.depot("queue show")
			if err != nil {
				return err
			}
			defer d.close()
			r, err := d.one(ctx, args[0])
			if err != nil {
				return err
			}
			if r == nil {
				return fail(exitFailed, "an item that is done is gone; \"earshot queue ls\" lists those that are not", "there is no item \"%s\"", clean(args[0]))
			}
			if a.json {
				return a.writeJSON(newItemJSON(r))
			}
			now, err := d.now(ctx)
			if err != nil {
				return err
			}
			return a.showItem(r, now)
		}
	},
}

func (a *app) showItem(r *queue.Record, now time.Time) error {
	paint := a.paint()
	status := "ok"
	if r.State == queue.StateDead {
		status = "bad"
	} else if r.Fails > 0 {
		status = "warn"
	}
	if _, err := fmt.Fprintf(a.out, "%s\n%s\n", paint.bold(clean(r.ID)), paint.status(status, string(r.State)+", "+fate(r, now))); err != nil {
		return err
	}
	if err := a.printFacts(facts(r, now)); err != nil {
		return err
	}
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(r.Headers)) {
		if b.Len() == 0 {
			fmt.Fprintf(&b, "\n%s\n", paint.bold("Headers"))
		}
		fmt.Fprintf(&b, "  %s  %s\n", paint.dim(clean(k)), clean(r.Headers[k]))
	}
	if r.Reason != "" {
		fmt.Fprintf(&b, "\n%s\n", paint.bold("Reason"))
		for line := range strings.SplitSeq(strings.TrimRight(r.Reason, "\n"), "\n") {
			fmt.Fprintf(&b, "  %s\n", clean(strings.TrimSuffix(line, "\r")))
		}
	}
	if len(r.Payload) > 0 {
		what, text := a.payload(r.Payload)
		fmt.Fprintf(&b, "\n%s\n  %s\n", paint.bold("Payload, "+what), text)
	}
	_, err := fmt.Fprint(a.out, b.String())
	return err
}

// facts are the properties of an item that it has, in a row.
func facts(r *queue.Record, now time.Time) table {
	t := table{Rows: [][]any{nil}}
	add := func(key, value string) {
		if value != "" {
			t.Keys, t.Rows[0] = append(t.Keys, key), append(t.Rows[0], value)
		}
	}
	at := func(key string, when time.Time) {
		if !when.IsZero() {
			add(key, when.UTC().Format("2006-01-02 15:04:05 UTC")+", "+moment(when, now))
		}
	}
	add("queue", r.Queue)
	add("name", r.Name)
	add("tid", r.TID)
	add("parent", r.Parent)
	at("created", r.Created)
	at("due", r.Due)
	if r.State == queue.StateDead {
		at("died", r.Until)
	} else {
		at("leased_until", r.Until)
	}
	add("worker", r.Worker)
	add("deliveries", fmt.Sprint(r.Deliveries))
	most := "as many as it likes"
	if n := maxFails(r); n > 0 {
		most = fmt.Sprint(n)
	}
	add("fails", fmt.Sprintf("%d of %s", r.Fails, most))
	if r.Priority != 0 {
		add("priority", fmt.Sprint(r.Priority))
	}
	add("key", r.Key)
	add("serial", r.Serial)
	return t
}

// payload says what a payload is, and returns it on one line, as much of it as a screen has room for.
func (a *app) payload(raw []byte) (what, text string) {
	size := byteSize(float64(len(raw)))
	if line, ok := appendCleanJSON(nil, raw); ok {
		what, text = "JSON, "+size, string(line)
	} else if utf8.Valid(raw) {
		what, text = "text, "+size, clean(string(raw))
	} else {
		what, text = "bytes, "+size, clean(string(raw))
	}
	if limit := screenLines * a.width(); limit > 0 && utf8.RuneCountInString(text) > limit {
		what += ", its beginning"
		text = cutRight(text, limit)
	}
	return what, text
}
