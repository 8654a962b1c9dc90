package e2e

import (
	"context"
	"encoding/json"
	"net/url"
	"testing"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/tap"
	"github.com/stretchr/testify/require"
)

// tour returns the address of every page there is, each with something on it,
// if the site has anything to show.
func (s *site) tour() []string {
	s.t.Helper()
	paths := []string{"", "channels", "subscribers", "slow", "tap", "help"}
	var channels struct{ Channels []struct{ Channel string } }
	var subscribers struct{ Subscribers []struct{ Ref string } }
	s.json("channels.json", &channels)
	s.json("subscribers.json", &subscribers)
	if c := channels.Channels; len(c) > 0 {
		paths = append(paths, "channel?"+query("name", c[0].Channel))
	}
	if r := subscribers.Subscribers; len(r) > 0 {
		paths = append(paths, "subscriber?"+query("ref", r[0].Ref))
	}
	return paths
}

func (s *site) json(path string, v any) {
	s.t.Helper()
	status, body := s.get(path)
	require.Equal(s.t, 200, status, "%s: %s", path, body)
	require.NoError(s.t, json.Unmarshal([]byte(body), v), path)
}

// tourOf opens every page.
func (p *tab) tourOf(s *site, look func(path string)) {
	p.t.Helper()
	for _, path := range s.tour() {
		p.open(s.page + path)
		look("page " + path)
	}
}

// populated is a site with a bit of everything: channels that are declared and
// live, subscribers that keep up and one that does not, traffic.
func populated(t *testing.T) *site {
	t.Helper()
	s := newSite(t, tap.Look|tap.Payloads)
	paid := earshot.NewChannel[Order](s.srv, "orders.paid", &earshot.ChannelOptions{Doc: "one event for each order, once it is paid"})
	earshot.NewChannel[Order](s.srv, "orders.refunded", &earshot.ChannelOptions{Doc: "money that goes back"})
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	_, err := paid.Handle(ctx, func(context.Context, earshot.Message[Order]) error { return nil },
		&earshot.SpawnOptions{Name: "receipts"})
	require.NoError(t, err)
	stuck, err := paid.Handle(ctx, func(ctx context.Context, _ earshot.Message[Order]) error { <-ctx.Done(); return nil },
		&earshot.SpawnOptions{Name: "search index", Capacity: 16})
	require.NoError(t, err)
	m := earshot.NewMailbox[any](ctx, s.srv, &earshot.MailboxOptions{Name: "audit", Overflow: earshot.Latest})
	_, err = m.SubscribePattern("orders.**")
	require.NoError(t, err)
	for i := range 40 {
		paid.Send(Order{ID: i, Amount: 19.99, Customer: "Ann"})
		earshot.SendEvent(s.srv, "stock.low", Order{ID: i})
	}
	t.Cleanup(func() {
		m.Close() // which nothing else refers to, so that it would be taken for abandoned
		cancel()
		<-s.srv.Monitor(stuck)
	})
	s.untilSlow()
	return s
}

// untilSlow waits until the page has found a subscriber that does not keep up:
// it looks for them only while somebody looks at it.
func (s *site) untilSlow() {
	s.t.Helper()
	found := poll(patience, func() bool {
		var page struct{ Slow []any }
		s.json("slow.json", &page)
		return len(page.Slow) > 0
	})
	require.True(s.t, found, "the stuck subscriber is not found to be slow")
}

// query makes the query part of an address.
func query(pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return q.Encode()
}

func escape(s string) string { return url.QueryEscape(s) }
