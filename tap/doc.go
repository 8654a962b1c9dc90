// Package tap shows what goes on in an earshot server: as a live page to mount on any mux, as a stream for
// curl and programs, and as an iterator for Go.
//
//	mux.Handle("/debug/earshot/", tap.Handler(srv, nil))
//
// # What it costs
//
// Nothing while nobody looks: no subscription, no goroutine, no timer. A stream makes senders on the
// channels that its filter names pay 30 to 110 ns an event, whatever the number of viewers with those chan: terms,
// and whether they read or not (docs/performance.md); a page has at most 16 different sets of them. Senders on
// other channels pay nothing, but that SendEvent by a name that nobody listens to looks it up, for 18 ns in
// place of 4. What viewers of a page do takes at most a quarter of one processor, for all of them together.
//
// A viewer that does not keep up loses events, never delays them: a stream of a page keeps at most 16,384
// that have not been looked at, whatever their size, one of [Open] 65,536, and streams of the same channels keep
// them together. A viewer that does not read at all is let go after ten seconds. When the server ends so do its
// streams, and what they have not looked at is not shown.
//
// It always says what it left out:
//
//	seen = shown + filtered + shed
//
// # Who may look
//
// By default programs on the same machine, which see names, counters, types and sizes. What is inside of
// events is for those to whom [Options.Allow] gives [Payloads], and so are filters that look there. Secret
// fields, those with the tag earshot:"secret" and those called password, token and the like, are shown to nobody. Requests
// that passed a proxy, that name another host, or that another site makes in a browser are refused.
//
// # Pages
//
// Each is one segment below the mount point, and has a twin that ends in .json: the overview (overview.json), channels,
// channel?name=…, subscribers, subscriber?ref=…, slow, tap?filter=…, help, and the panels of other
// packages. metrics is Prometheus text. events is the stream: server-sent events if the request accepts
// text/event-stream, otherwise a JSON object on each line:
//
//	curl -N 'localhost:8080/debug/earshot/events?filter=chan:orders.*'
//
// Its parameters are filter, rate (50/s), count and, for lines, stats=1. The others know sort, q and page,
// and over=1s, which looks for so long before it answers. POST emit?channel=NAME sends an event, for those
// who have [Emit].
package tap
