package tap

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/tap/panel"
)

// A picture is the state of the server at one look. All pages are drawn from one, so that their numbers are
// those of one moment.
type picture struct {
	page       *Page
	access     Access
	channels   []channelRow
	subs       []subRow
	slow, past []incident
	since      time.Time // of the watch
	now        time.Time
}

func (p *Page) look(a Access) *picture {
	p.watch.touch()
	return p.glance(a)
}

// glance is look without keeping the watch for slow subscribers awake: a scrape of the metrics every few
// seconds would do so for good.
func (p *Page) glance(a Access) *picture {
	x := &picture{page: p, access: a, now: time.Now()}
	x.channels, x.subs = p.watch.look(p.srv)
	x.slow, x.past, x.since = p.watch.incidents(x.subs)
	slices.SortFunc(x.channels, func(a, b channelRow) int { return strings.Compare(earshot.NameText(a.Name), earshot.NameText(b.Name)) })
	slices.SortFunc(x.subs, func(a, b subRow) int {
		return cmp.Or(strings.Compare(earshot.NameText(a.Channel), earshot.NameText(b.Channel)), cmp.Compare(len(a.Ref.String()), len(b.Ref.String())),
			strings.Compare(a.Ref.String(), b.Ref.String()))
	})
	return x
}

func (x *picture) overview() panel.View {
	status, summary := x.health()
	return panel.View{Title: "Overview", Status: status, Summary: summary, Tables: []panel.Table{
		x.totals(), x.deepest(), x.slowTable(), x.about(),
	}}
}

// health says in a sentence how things are.
func (x *picture) health() (panel.Status, string) {
	if n := len(x.slow); n > 0 {
		worst := slices.MaxFunc(x.slow, func(a, b incident) int { return cmp.Compare(a.Running, b.Running) })
		return panel.Warn, fmt.Sprintf("%s: %s on %s has not got on for %v, %d waiting", plural(n, "slow subscriber"),
			worst.Site, earshot.NameText(worst.Channel), worst.Running.Round(100*time.Millisecond), worst.Depth)
	}
	losing, most, where := 0, 0.0, ""
	for _, s := range x.subs {
		if r, _ := s.losing.(float64); r > 0 && s.Overflow != earshot.Latest { // which is there to lose
			losing++
			if r > most {
				most, where = r, s.Site+" on "+earshot.NameText(s.Channel)
			}
		}
	}
	if losing > 0 {
		return panel.Warn, fmt.Sprintf("%s losing events: %s, %.0f a second", plural(losing, "subscriber"), where, most)
	}
	if x.now.Sub(x.since) < time.Second {
		return panel.OK, "All well so far; the watch for slow subscribers has just begun"
	}
	return panel.OK, "All well"
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// own reports whether a channel is the server's own.
func (x *picture) own(c channelRow) bool {
	return strings.HasPrefix(earshot.NameText(c.Name), "earshot.")
}

func (x *picture) totals() panel.Table {
	var live, declared int
	var sent uint64
	rate, rated := 0.0, false
	for _, c := range x.channels {
		if x.own(c) {
			continue
		}
		if c.Live {
			live++
		}
		if c.Declared {
			declared++
		}
		sent += c.Sent
		if r, ok := c.rate.(float64); ok {
			rate, rated = rate+r, true
		}
	}
	all := x.page.srv.Stats()
	t := panel.Table{
		Name: "totals", Title: "Now", Facts: true,
		Doc: "Of all subscriptions so far: offered = received + missed + discarded + depth.",
		Columns: []panel.Column{
			{Key: "channels_live", Label: "Live channels", Kind: panel.Count, Metric: "earshot_channels_live", Doc: "Channels of the program that somebody listens to."},
			{Key: "channels_declared", Label: "Declared channels", Kind: panel.Count, Metric: "earshot_channels_declared", Doc: "Channels that the program has declared."},
			{Key: "subscribers", Label: "Subscriptions", Kind: panel.Count, Metric: "earshot_subscriptions", Doc: "Subscriptions that have not ended."},
			{Key: "sent", Label: "Sent", Kind: panel.Count, Doc: "Events since each live channel came to life."},
			{Key: "rate", Label: "Rate", Kind: panel.Rate, Doc: "Events a second on all live channels."},
			{Key: "offered", Label: "Offered", Kind: panel.Count, Metric: "earshot_events_offered_total", Counter: true, Doc: "Events that were sent to subscriptions, those that have ended included."},
			{Key: "received", Label: "Received", Kind: panel.Count, Metric: "earshot_events_received_total", Counter: true, Doc: "Events that subscribers have taken."},
			{Key: "missed", Label: "Missed", Kind: panel.Count, Metric: "earshot_events_missed_total", Counter: true, Doc: "Events that were lost by the policy of a mailbox."},
			{Key: "discarded", Label: "Discarded", Kind: panel.Count, Metric: "earshot_events_discarded_total", Counter: true, Doc: "Events that were not received when their subscriber ended."},
			{Key: "mismatched", Label: "Mismatched", Kind: panel.Count, Metric: "earshot_events_mismatched_total", Counter: true, Doc: "Events of a type that the subscriber does not take."},
			{Key: "depth", Label: "Depth", Kind: panel.Count, Metric: "earshot_events_waiting", Doc: "Events that wait to be received."},
			{Key: "viewers", Label: "Viewers", Kind: panel.Count, Metric: "earshot_tap_viewers", Doc: "Streams of this page that are open."},
			{Key: "slow", Label: "Slow", Kind: panel.Count, Metric: "earshot_slow_subscribers", Doc: "Subscribers that have not got on for half a second or more, as far as has been watched."},
		},
	}
	row := []any{live, declared, all.Subscriptions, sent, nil, all.Offered, all.Received, all.Missed, all.Discarded, all.Mismatched,
		all.Depth, x.page.watching(), len(x.slow)}
	if rated {
		row[4] = rate
	}
	t.Rows = [][]any{row}
	return t
}

func (x *picture) deepest() panel.Table {
	subs := slices.Clone(x.subs)
	slices.SortStableFunc(subs, func(a, b subRow) int { return cmp.Compare(b.Depth, a.Depth) })
	subs = slices.DeleteFunc(subs, func(s subRow) bool { return s.Depth == 0 })
	t := x.subscriberTable(subs[:min(5, len(subs))])
	t.Name, t.Title, t.Doc = "deepest", "Deepest mailboxes", ""
	t.Empty = "No event waits anywhere."
	for i := range t.Columns {
		t.Columns[i].Metric = ""
	}
	return t
}

func (x *picture) about() panel.Table {
	return panel.Table{
		Name: "about", Title: "About", Facts: true,
		Columns: []panel.Column{
			{Key: "version", Label: "earshot", Kind: panel.Code},
			{Key: "go", Label: "Go", Kind: panel.Code},
			{Key: "program", Label: "Program", Kind: panel.Code},
			{Key: "pid", Label: "Process", Kind: panel.Code},
			{Key: "started", Label: "Mounted", Kind: panel.Time, Doc: "When this page was made."},
			{Key: "uptime", Label: "For", Kind: panel.Seconds},
			{Key: "goroutines", Label: "Goroutines", Kind: panel.Count},
			{Key: "access", Label: "Access", Kind: panel.Text},
		},
		Rows: [][]any{{version(), runtime.Version(), programName(), strconv.Itoa(os.Getpid()), x.page.born, x.now.Sub(x.page.born),
			runtime.NumGoroutine(), x.access.String()}},
	}
}

func (x *picture) channelsView() panel.View {
	live, own := 0, 0
	for _, c := range x.channels {
		if x.own(c) {
			own++
		} else if c.Live {
			live++
		}
	}
	listed := x.channels
	if own == len(listed) {
		listed = nil // the server's own are always there, and nothing to see yet
	}
	return x.summarised(panel.View{
		Title:   "Channels",
		Summary: fmt.Sprintf("%s, %d live: the others cost their senders nothing", plural(len(x.channels)-own, "channel"), live),
		Tables:  []panel.Table{x.channelTable(listed)},
	})
}

// summarised gives a page the sentence about the server's health instead of its own if that is not good.
func (x *picture) summarised(v panel.View) panel.View {
	if status, summary := x.health(); status != panel.OK {
		v.Status, v.Summary = status, summary
	}
	return v
}

func (x *picture) subscribersView() panel.View {
	waiting, missed := 0, uint64(0)
	for _, s := range x.subs {
		waiting += s.Depth
		missed += s.Missed
	}
	return x.summarised(panel.View{
		Title:   "Subscribers",
		Summary: fmt.Sprintf("%s, %d waiting, %d missed so far", plural(len(x.subs), "subscription"), waiting, missed),
		Tables:  []panel.Table{x.subscriberTable(x.subs)},
	})
}

func (x *picture) slowView() panel.View {
	status, summary := x.health()
	if len(x.slow) == 0 && status == panel.OK && x.now.Sub(x.since) >= time.Second {
		summary = "Nobody is slow"
	}
	past := panel.Table{
		Name: "past", Title: "Before", Empty: "Nobody has been slow while somebody looked.",
		Columns: append(incidentColumns(), panel.Column{Key: "until", Label: "Until", Kind: panel.Time}),
	}
	for _, in := range slices.Backward(x.past) {
		past.Rows = append(past.Rows, append(in.row(), in.until))
	}
	return panel.View{Title: "Slow", Status: status, Summary: summary, Tables: []panel.Table{x.slowTable(), past}}
}

func (x *picture) slowTable() panel.Table {
	t := panel.Table{
		Name: "slow", Title: "Slow subscribers", Empty: "Every subscriber that has something to do gets on with it.",
		Doc: "They have events waiting, or one in their hands, and have not got on for half a second or more.", Columns: incidentColumns(),
	}
	for _, in := range x.slow {
		t.Rows = append(t.Rows, in.row())
	}
	return t
}

// channelView is the page of one channel. ok is false if there is none of that name.
func (x *picture) channelView(name string) (v panel.View, ok bool) {
	i := slices.IndexFunc(x.channels, func(c channelRow) bool { return earshot.NameText(c.Name) == name })
	if i < 0 {
		return v, false
	}
	c := x.channels[i]
	one := x.channelTable(x.channels[i : i+1])
	one.Name, one.Title, one.Doc, one.Facts = "channel", "", "", true
	subs := x.subscriberTable(slices.DeleteFunc(slices.Clone(x.subs), func(s subRow) bool { return earshot.NameText(s.Channel) != name }))
	subs.Doc = "Those by its name; a pattern that matches it is listed with the subscribers."
	v = panel.View{Title: name, Summary: "Nobody listens: a send costs one look", Tables: []panel.Table{one, subs}}
	if c.Live {
		v.Summary = plural(c.Subscribers, "listener")
		if c.Tapped {
			v.Summary += " and a tap"
		}
	}
	if fields := typeTable(c.Type); len(fields.Rows) > 0 {
		v.Tables = append(v.Tables, fields)
	}
	return v, true
}

func (x *picture) subscriberView(ref string) (v panel.View, ok bool) {
	i := slices.IndexFunc(x.subs, func(s subRow) bool { return s.Ref.String() == ref })
	if i < 0 {
		return v, false
	}
	t := x.subscriberTable(x.subs[i : i+1])
	t.Name, t.Title, t.Facts = "subscriber", "", true
	s := x.subs[i]
	v = panel.View{Title: ref, Summary: fmt.Sprintf("%s listens to %s", s.Subscriber, earshot.NameText(s.Channel)), Tables: []panel.Table{t}}
	busy := s.Depth > 0
	for _, in := range x.slow {
		if in.Ref == s.Ref {
			busy = true
			v.Status, v.Summary = panel.Warn, fmt.Sprintf("%s has not got on for %v", s.Subscriber, in.Running.Round(100*time.Millisecond))
		}
	}
	if busy {
		v.Tables = append(v.Tables, runningTable(ref))
	}
	return v, true
}
