package main

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/earshot-go/earshot"
)

// handler returns the server's pages, all of them observed.
func (a *app) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, index)
	})
	mux.HandleFunc("/hello/{name}", func(w http.ResponseWriter, r *http.Request) {
		say(w, "hello, %q", r.PathValue("name"))
	})
	mux.HandleFunc("GET /big", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, strings.Repeat("all work and no play makes a dull server\n", 1000))
	})
	mux.HandleFunc("GET /teapot", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "short and stout", http.StatusTeapot)
	})
	mux.HandleFunc("/tap/on", func(w http.ResponseWriter, r *http.Request) {
		answer(w, a.tapOn(), "The tap is on: requests are printed where the server runs.")
	})
	mux.HandleFunc("/tap/off", func(w http.ResponseWriter, r *http.Request) {
		answer(w, a.tapOff(), "The tap is off.")
	})
	mux.HandleFunc("/stuck/on", func(w http.ResponseWriter, r *http.Request) {
		answer(w, a.stuckOn(), "There is a subscriber that never reads. Within a second of the next request the server will name it.")
	})
	mux.HandleFunc("/stuck/off", func(w http.ResponseWriter, r *http.Request) {
		if st, was := a.stuckOff(); was {
			say(w, "The stuck subscriber is gone. It was sent %d events, of which it missed %d and left %d waiting.", st.Offered, st.Missed, st.Depth)
		} else {
			say(w, "There is no stuck subscriber.")
		}
	})
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		a.stats(w)
	})
	all := http.NewServeMux()
	all.Handle("/debug/earshot/", a.page) // not observed, so that looking makes no events
	all.Handle("/", observe(a.requests, mux))
	return all
}

func answer(w http.ResponseWriter, err error, text string) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	say(w, "%s", text)
}

func say(w http.ResponseWriter, format string, args ...any) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(w, format+"\n", args...)
}

// stats writes what the events' server knows about itself.
func (a *app) stats(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	defer tw.Flush()
	fmt.Fprintln(tw, "CHANNEL\tEVENT\tSUBSCRIBERS\tSENT\tDOC")
	channels := slices.SortedFunc(a.events.Channels(), func(x, y earshot.ChannelStats) int {
		return strings.Compare(fmt.Sprint(x.Name), fmt.Sprint(y.Name))
	})
	for _, c := range channels {
		fmt.Fprintf(tw, "%v\t%v\t%d\t%d\t%s\n", c.Name, c.Type, c.Subscribers, c.Sent, c.Doc)
	}
	fmt.Fprintln(tw, "\nSUBSCRIBER\tLISTENS TO\tOFFERED\tRECEIVED\tMISSED\tWAITING\tSUBSCRIBED AT")
	subs := slices.SortedFunc(a.events.Subscriptions(), func(x, y earshot.SubscriptionStats) int {
		return cmp.Or(strings.Compare(x.Subscriber, y.Subscriber), strings.Compare(fmt.Sprint(x.Channel), fmt.Sprint(y.Channel)))
	})
	for _, s := range subs {
		fmt.Fprintf(tw, "%s\t%v\t%d\t%d\t%d\t%d\t%s\n", s.Subscriber, s.Channel, s.Offered, s.Received, s.Missed, s.Depth, s.Site)
	}
}

const index = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>earshot playground</title>
<style>body { font: 1rem/1.6 system-ui, sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem }
td { padding-right: 1.5rem; vertical-align: top }</style>
<h1>earshot playground</h1>
<p>Each request to this server is an event. Keep an eye on the terminal in which it runs.</p>
<table>
<tr><td><a href="/hello/you">/hello/you</a> <a href="/big">/big</a> <a href="/teapot">/teapot</a> <a href="/nowhere">/nowhere</a><td>requests to see there
<tr><td><a href="/tap/off">/tap/off</a> <a href="/tap/on">/tap/on</a><td>stop and start listening
<tr><td><a href="/stuck/on">/stuck/on</a> <a href="/stuck/off">/stuck/off</a><td>a subscriber that never reads comes and goes
<tr><td><a href="/debug/earshot/">/debug/earshot/</a><td>the live page: channels, subscribers, events as they pass
<tr><td><a href="/stats">/stats</a><td>who listens to what, and what became of it
</table>
</html>
`
