package main

import (
	"bufio"
	"bytes"
	"context"
	"net/http"
	"time"
)

// How long the stream is watched: a second longer than the shortest write timeout that servers have,
// and longer than the second between two counts. A test has less patience.
var watchStream = 2500 * time.Millisecond

// checkStream opens a stream that shows nothing, and waits for its counts.
func checkStream(ctx context.Context, d *doctor, name string) {
	ctx, cancel := context.WithTimeout(ctx, watchStream)
	defer cancel()
	begin := time.Now()
	resp, err := d.raw(ctx, "events", func(r *http.Request) {
		r.Header.Set("Accept", "text/event-stream")
		r.URL.RawQuery = "filter=chan%3Ano.such.channel"
	})
	if err != nil {
		if time.Since(begin) >= watchStream {
			d.finds("bad", name, "switch off buffering for the page: \"proxy_buffering off\" in nginx, no compression, a ResponseWriter that can flush",
				"nothing of a stream arrives within %v: something before the page holds it back", watchStream)
		} else {
			d.finds("bad", name, "", "a stream cannot be opened: %v", err)
		}
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		d.finds("bad", name, "a middleware's ResponseWriter must be able to flush, or have Unwrap", "a stream is answered with %s", resp.Status)
		return
	}
	if encoding := resp.Header.Get("Content-Encoding"); encoding != "" {
		d.finds("warn", name, "exempt text/event-stream from compression", "streams are compressed (%s), which holds events back", encoding)
		return
	}
	counts := 0
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if bytes.Equal(lines.Bytes(), []byte("event: stats")) {
			counts++
		}
	}
	switch lasted := time.Since(begin); {
	case ctx.Err() == nil && lasted < watchStream:
		d.finds("bad", name, "a middleware's ResponseWriter needs Unwrap, so that the page can lift http.Server.WriteTimeout for a stream; a proxy may limit a response's time as well",
			"streams are cut off after %s", short(lasted))
	case counts == 0:
		d.finds("bad", name, "switch off buffering for the page: \"proxy_buffering off\" in nginx, no compression, a ResponseWriter that can flush",
			"nothing of a stream arrives within %v: something before the page holds it back", watchStream)
	default:
		d.ok(name, "events arrive as they are sent")
	}
}

func checkSlow(_ context.Context, d *doctor, name string) {
	t := d.page("slow").table("slow")
	for i := range t.Rows {
		running, _ := t.number(i, "running")
		d.finds("warn", name, "see what its handler waits for: a goroutine profile has the label earshot_subscriber",
			"%s (%s) on %s has not got on for %s", t.text(i, "subscriber"), t.text(i, "site"), t.text(i, "channel"), seconds(running))
	}
	if len(t.Rows) == 0 {
		d.ok(name, "none")
	}
}

// eachSubscriber reports what is wrong with single subscribers, the first few of them in words.
func eachSubscriber(d *doctor, level, check, fix, well string, wrong func(t *table, i int) string) {
	const enough = 3
	t := d.page("subscribers").table("subscribers")
	n := 0
	for i := range t.Rows {
		what := wrong(&t, i)
		if what == "" {
			continue
		}
		if n++; n <= enough {
			d.finds(level, check, fix, "%s (%s) on %s: %s", t.text(i, "subscriber"), t.text(i, "site"), t.text(i, "channel"), what)
		}
	}
	if n > enough {
		d.finds(level, check, "\"earshot ls subscribers --json\" has all", "and %d more", n-enough)
	}
	if n == 0 {
		d.ok(check, "%s", well)
	}
}

func checkLost(_ context.Context, d *doctor, name string) {
	eachSubscriber(d, "warn", name, "a larger Capacity helps with bursts; a handler that is too slow for good has to do less", "no subscriber has missed any",
		func(t *table, i int) string {
			missed, _ := t.number(i, "missed")
			if missed == 0 || t.text(i, "overflow") == "latest" { // that one wants the newest only
				return ""
			}
			return "has missed " + grouped(jsonText(t.at(i, "missed"))) + " events"
		})
}

func checkUnbounded(_ context.Context, d *doctor, name string) {
	const much = 100_000
	eachSubscriber(d, "warn", name, "give it a Capacity and a policy other than Unbounded", "no mailbox grows without a bound",
		func(t *table, i int) string {
			depth, _ := t.number(i, "depth")
			if t.text(i, "overflow") != "unbounded" || depth < much {
				return ""
			}
			return grouped(jsonText(t.at(i, "depth"))) + " events wait in a mailbox without a bound"
		})
}

func checkMismatched(_ context.Context, d *doctor, name string) {
	eachSubscriber(d, "warn", name, "somebody sends another type by that name with SendEvent: declare the channel, and send through its handle", "every event is of its channel's type",
		func(t *table, i int) string {
			if n, _ := t.number(i, "mismatched"); n == 0 {
				return ""
			}
			return grouped(jsonText(t.at(i, "mismatched"))) + " events were not of the type that it takes"
		})
}

// checkConservation looks whether every event is accounted for.
func checkConservation(_ context.Context, d *doctor, name string) {
	eachSubscriber(d, "bad", name, "this is a fault in earshot: please report it with the output of \"earshot ls subscribers --json\"", "offered = received + missed + discarded + depth, for everybody",
		func(t *table, i int) string {
			sum := 0.0
			for _, part := range []string{"received", "missed", "discarded", "depth"} {
				n, known := t.number(i, part)
				if !known {
					return ""
				}
				sum += n
			}
			if offered, known := t.number(i, "offered"); !known || offered == sum {
				return ""
			}
			return "was offered " + grouped(jsonText(t.at(i, "offered"))) + " events, which is not what became of them"
		})
}

func checkDeclared(_ context.Context, d *doctor, name string) {
	t := d.page("channels").table("channels")
	var bare []string
	for i := range t.Rows {
		if declared, ok := t.at(i, "declared").(bool); ok && !declared {
			bare = append(bare, t.text(i, "channel"))
		}
	}
	switch {
	case len(bare) == 0:
		d.ok(name, "every live channel is declared")
	default:
		d.finds("note", name, "earshot.NewChannel with a Doc tells what they mean, and their type", "%s live without a declaration, such as %s", plural(uint64(len(bare)), "channel"), bare[0])
	}
}
