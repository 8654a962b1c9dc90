package tap_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
)

// columns is what programs read, the command line among them: a column may come, none may go.
var columns = map[string]map[string]string{
	"/overview.json": {
		"totals":  "channels_live channels_declared subscribers sent rate offered received missed discarded depth viewers slow",
		"deepest": "ref channel subscriber site overflow capacity depth high_water oldest offered received missed discarded mismatched",
		"slow":    "ref channel subscriber site depth missed running",
		"about":   "version go program pid started uptime access",
	},
	"/channels.json":    {"channels": "channel type doc live declared subscribers tapped sent rate last"},
	"/subscribers.json": {"subscribers": "ref channel subscriber site overflow capacity depth high_water oldest offered received missed discarded mismatched"},
	"/channel.json?name=orders": {
		"channel":     "channel type doc live declared subscribers tapped sent rate last",
		"subscribers": "ref channel subscriber site overflow capacity depth high_water oldest offered received missed discarded mismatched",
		"fields":      "field type secret",
	},
	"/slow.json": {"slow": "ref channel subscriber site depth missed running since", "past": "ref channel subscriber site depth missed running since until"},
}

// The JSON twin of each page parses, and has the columns of the contract in that order.
func TestPages_JSON(t *testing.T) {
	s := newServer(t)
	earshot.NewChannel[order](s, "orders", &earshot.ChannelOptions{Doc: "one for each order"})
	newMailbox[order](t, s, "orders", nil)
	earshot.SendEvent(s, "orders", order{ID: 1})
	p := newPage(t, s, nil)
	for target, tables := range columns {
		v := view(t, p, target)
		require.NotEmpty(t, v["title"], target)
		require.Contains(t, []any{"ok", "warn", "bad"}, v["status"])
		require.NotEmpty(t, v["summary"], target)
		for name, want := range tables {
			all := rows(t, v, name)
			if name != "slow" && name != "past" { // those with a row: TestSlow
				require.NotEmpty(t, all, "%s of %s", name, target)
			}
			for _, r := range all {
				for key := range strings.FieldsSeq(want) {
					require.Contains(t, r, key, "%s of %s", name, target)
				}
			}
		}
		w := ask(p, local("GET", target))
		require.Equal(t, "application/json", w.Header().Get("Content-Type"))
		require.True(t, json.Valid(w.Body.Bytes()))
	}
	ref := rows(t, view(t, p, "/subscribers.json"), "subscribers")[0]["ref"].(string)
	one := rows(t, view(t, p, "/subscriber.json?ref="+strings.ReplaceAll(ref, "#", "%23")), "subscriber")
	require.Equal(t, "1", number(one[0]["depth"]))
	for _, target := range []string{"/.json", "/overview", "/overview.json", "/"} {
		require.Contains(t, look(t, p, target), "Overview", "%s", target)
	}
}

// What is said of a channel and a subscription is what the program said of them.
func TestPages_Rows(t *testing.T) {
	s := newServer(t)
	earshot.NewChannel[order](s, "orders", &earshot.ChannelOptions{Doc: "one for each order"})
	earshot.NewChannel[*order](s, "idle", nil)
	newMailbox[order](t, s, "orders", &earshot.MailboxOptions{Name: "till", Capacity: 7, Overflow: earshot.DropNewest})
	newMailbox[any](t, s, 7, &earshot.MailboxOptions{Overflow: earshot.Unbounded})
	p := newPage(t, s, nil)
	for range 10 {
		earshot.SendEvent(s, "orders", order{})
	}

	channels := rows(t, view(t, p, "/channels.json"), "channels")
	c := find(t, channels, "channel", "orders")
	require.Equal(t, "tap_test.order", c["type"])
	require.Equal(t, "one for each order", c["doc"])
	require.Equal(t, []any{true, true, false}, []any{c["live"], c["declared"], c["tapped"]})
	require.Equal(t, "1 10", number(c["subscribers"])+" "+number(c["sent"]))
	c = find(t, channels, "channel", "idle")
	require.Equal(t, "*tap_test.order", c["type"])
	require.Equal(t, false, c["live"])
	c = find(t, channels, "channel", "7")
	require.Nil(t, c["type"])
	require.Equal(t, []any{true, false}, []any{c["live"], c["declared"]})

	subs := rows(t, view(t, p, "/subscribers.json"), "subscribers")
	u := find(t, subs, "subscriber", "till")
	require.Contains(t, u["site"], "/main_test.go:", "where it subscribed")
	require.Equal(t, "orders", u["channel"])
	require.Equal(t, "drop-newest", u["overflow"])
	for key, want := range map[string]string{"capacity": "7", "depth": "7", "high_water": "7", "offered": "10", "received": "0", "missed": "3", "discarded": "0", "mismatched": "0"} {
		require.Equal(t, want, number(u[key]), key)
	}
	require.Nil(t, find(t, subs, "channel", "7")["capacity"], "it has none")

	one := view(t, p, "/channel.json?name=orders")
	require.Len(t, rows(t, one, "subscribers"), 1)
	var fields []string
	for _, f := range rows(t, one, "fields") {
		fields = append(fields, f["field"].(string)+":"+number(f["secret"]))
	}
	require.Equal(t, []string{"id:false", "amount:false", "took:false", "note:false", "card:true"}, fields)
}

// Looking is no listening: what the page itself does is not in the way of what it shows.
func TestPages_LeaveNoTrace(t *testing.T) {
	s := newServer(t)
	earshot.NewChannel[int](s, "c", nil)
	p := newPage(t, s, nil)
	for range 3 {
		require.Empty(t, rows(t, view(t, p, "/subscribers.json"), "subscribers"), "nobody but the page is here")
		require.Equal(t, "0", number(rows(t, view(t, p, "/overview.json"), "totals")[0]["subscribers"]))
		for _, c := range rows(t, view(t, p, "/channels.json"), "channels") {
			require.Equal(t, "0", number(c["subscribers"]), "%v", c)
		}
	}
	require.False(t, s.Listening("c"))
}

// UX-35: a page with nothing on it says what to do next.
func TestUX35_Empty(t *testing.T) {
	s := newServer(t)
	p := newPage(t, s, nil)
	for target, want := range map[string]string{
		"/subscribers": "Subscribe with Channel.Handle or Mailbox.Subscribe", "/slow": "gets on with it", "/": "No event waits anywhere",
	} {
		require.Contains(t, look(t, p, target), want, target)
	}
}

// UX-33: a page of ten thousand channels shows two hundred, and the way to the rest.
func TestUX33_ManyChannels(t *testing.T) {
	s := newServer(t)
	for i := range 10_000 {
		earshot.NewChannel[int](s, "c."+strings.Repeat("x", i%5)+number(i), nil)
	}
	p := newPage(t, s, nil)
	page := look(t, p, "/channels")
	require.Less(t, len(page), 300_000)
	require.Contains(t, page, "page=2")
	require.Len(t, rows(t, view(t, p, "/channels.json?page=2"), "channels"), 200)
	require.GreaterOrEqual(t, len(rows(t, view(t, p, "/channels.json"), "channels")), 10_000)
	require.Len(t, rows(t, view(t, p, "/channels.json?q=nothing"), "channels"), 0)
	require.Len(t, rows(t, view(t, p, "/channels.json?q=.xxxx1234"), "channels"), 1)
}
