package tap

import (
	"net/url"
	"reflect"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/tap/internal/fields"
	"github.com/earshot-go/earshot/tap/panel"
)

// The tables that pages are made of. A column is described once, for the page, its JSON twin, the metrics and
// the command line.

func (x *picture) channelTable(channels []channelRow) panel.Table {
	t := panel.Table{
		Name: "channels", Title: "Channels",
		Doc:   "Those that the program has declared, and those that somebody listens to.",
		Empty: "No channel is declared and nobody listens. Declare one with earshot.NewChannel, or subscribe to a name.",
		Columns: []panel.Column{
			{Key: "channel", Label: "Channel", Kind: panel.Code, Dim: true},
			{Key: "type", Label: "Type", Kind: panel.Code, Doc: "Of its events, if it is declared."},
			{Key: "doc", Label: "About", Kind: panel.Text},
			{Key: "live", Label: "Live", Kind: panel.Flag, Doc: "Whether somebody listens."},
			{Key: "declared", Label: "Declared", Kind: panel.Flag},
			{Key: "subscribers", Label: "Listeners", Kind: panel.Count, Metric: "earshot_channel_subscriptions", Doc: "Subscriptions, those by patterns included."},
			{Key: "tapped", Label: "Tapped", Kind: panel.Flag, Doc: "Whether a tap listens, such as the one of this page."},
			{Key: "sent", Label: "Sent", Kind: panel.Count, Metric: "earshot_channel_sent_total", Counter: true, Doc: "Events since the channel came to life."},
			{Key: "rate", Label: "Rate", Kind: panel.Rate, Doc: "Events a second, between the last two looks."},
			{Key: "last", Label: "Last event", Kind: panel.Time, Doc: "When a look last found new ones; unknown for those before the first look."},
		},
	}
	for _, c := range channels {
		name := earshot.NameText(c.Name)
		var typ any
		if c.Type != nil {
			typ = c.Type.String()
		}
		t.Rows = append(t.Rows, []any{
			panel.Link{Text: name, Page: "channel", Query: url.Values{"name": {name}}}, typ, c.Doc, c.Live, c.Declared,
			c.Subscribers, c.Tapped, c.Sent, c.rate, c.last,
		})
	}
	return t
}

func (x *picture) subscriberTable(subs []subRow) panel.Table {
	t := panel.Table{
		Name: "subscribers", Title: "Subscriptions",
		Doc:   "offered = received + missed + discarded + depth",
		Empty: "Nobody listens, so every send is free. Subscribe with Channel.Handle or Mailbox.Subscribe.",
		Columns: []panel.Column{
			{Key: "ref", Label: "Ref", Kind: panel.Code},
			{Key: "channel", Label: "Channel", Kind: panel.Code, Dim: true, Doc: "Its name, or the text of a pattern."},
			{Key: "subscriber", Label: "Subscriber", Kind: panel.Code, Doc: "The mailbox's name, or where it was made."},
			{Key: "site", Label: "Subscribed at", Kind: panel.Code, Doc: "File and line of the subscribe call."},
			{Key: "overflow", Label: "Policy", Kind: panel.Code, Doc: "What happens beyond the capacity."},
			{Key: "capacity", Label: "Capacity", Kind: panel.Count},
			{Key: "depth", Label: "Depth", Kind: panel.Count, Metric: "earshot_mailbox_depth", Doc: "Events that wait to be received."},
			{Key: "high_water", Label: "High water", Kind: panel.Count, Doc: "The largest depth of the mailbox so far."},
			{Key: "oldest", Label: "Oldest", Kind: panel.Seconds, Doc: "For how long the oldest has been waiting, at least: since the first look that saw it."},
			{Key: "offered", Label: "Offered", Kind: panel.Count, Doc: "Events that were sent to it."},
			{Key: "received", Label: "Received", Kind: panel.Count, Doc: "Events that it has taken."},
			{Key: "missed", Label: "Missed", Kind: panel.Count, Doc: "Events that it lost by its mailbox's policy."},
			{Key: "losing", Label: "Losing", Kind: panel.Rate, Doc: "Events it loses a second, between the last two looks."},
			{Key: "discarded", Label: "Discarded", Kind: panel.Count, Doc: "Events that it had not received when it ended."},
			{Key: "mismatched", Label: "Mismatched", Kind: panel.Count, Doc: "Events of a type that it does not take."},
		},
	}
	for _, s := range subs {
		ref := s.Ref.String()
		var oldest any
		if s.Depth > 0 {
			oldest = s.oldest
		}
		t.Rows = append(t.Rows, []any{
			panel.Link{Text: ref, Page: "subscriber", Query: url.Values{"ref": {ref}}}, earshot.NameText(s.Channel), s.Subscriber, s.Site,
			s.Overflow.String(), capacity(s.SubscriptionStats), s.Depth, s.HighWater, oldest, s.Offered, s.Received, s.Missed, s.losing,
			s.Discarded, s.Mismatched,
		})
	}
	return t
}

// capacity is unknown for mailboxes that ignore it.
func capacity(s earshot.SubscriptionStats) any {
	if s.Overflow == earshot.Unbounded || s.Overflow == earshot.Latest {
		return nil
	}
	return s.Capacity
}

func incidentColumns() []panel.Column {
	return []panel.Column{
		{Key: "ref", Label: "Ref", Kind: panel.Code},
		{Key: "channel", Label: "Channel", Kind: panel.Code},
		{Key: "subscriber", Label: "Subscriber", Kind: panel.Code},
		{Key: "site", Label: "Subscribed at", Kind: panel.Code},
		{Key: "depth", Label: "Depth", Kind: panel.Count, Doc: "Events that wait; the most that did, for those that are over."},
		{Key: "missed", Label: "Missed", Kind: panel.Count},
		{Key: "running", Label: "For", Kind: panel.Seconds},
		{Key: "since", Label: "Since", Kind: panel.Time},
	}
}

func (in incident) row() []any {
	ref := in.Ref.String()
	return []any{panel.Link{Text: ref, Page: "subscriber", Query: url.Values{"ref": {ref}}}, earshot.NameText(in.Channel), in.Subscriber,
		in.Site, in.Depth, in.Missed, in.Running, in.since}
}

// typeTable lists the fields of a struct as filters and payloads name them.
func typeTable(t reflect.Type) panel.Table {
	table := panel.Table{Name: "fields", Title: "Fields", Doc: "As filters and payloads name them.", Columns: []panel.Column{
		{Key: "field", Label: "Field", Kind: panel.Code}, {Key: "type", Label: "Type", Kind: panel.Code},
		{Key: "secret", Label: "Secret", Kind: panel.Flag},
	}}
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Struct {
		return table
	}
	for _, f := range fields.Of(t) {
		table.Rows = append(table.Rows, []any{f.Name, t.FieldByIndex(f.Index).Type.String(), f.Secret})
	}
	return table
}
