package tap_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
)

// samples reads metrics: a value for each name with labels.
func samples(t testing.TB, text string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "# ") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		require.Positive(t, at, "%q", line)
		require.NotContains(t, all, line[:at], "twice")
		all[line[:at]] = line[at+1:]
	}
	return all
}

// UX-34: when nothing happens, the numbers on the pages, in their JSON, in the metrics and in Go are the same.
func TestUX34_Numbers(t *testing.T) {
	s := newServer(t)
	p := newPage(t, s, nil)
	e := serve(t, p)
	for i, o := range []earshot.MailboxOptions{
		{Capacity: 3}, {Capacity: 3, Overflow: earshot.DropNewest}, {Overflow: earshot.Latest}, {Overflow: earshot.Unbounded}, {Capacity: 50},
	} {
		name := "orders." + number(i)
		earshot.NewChannel[int](s, name, nil)
		m := newMailbox[int](t, s, name, &o)
		for range i {
			earshot.SendEvent(s, name, "not an int")
		}
		sendInts(s, name, 1, 20+i)
		m.TryReceive()
	}
	earshot.NewChannel[int](s, "idle", nil)
	ended := newMailbox[int](t, s, "orders.0", nil)
	sendInts(s, "orders.0", 1, 5)
	ended.TryReceive()
	ended.Close() // counts go on being counted
	v := e.stream("/events?filter=chan:none.such")
	v.event("stats")

	totals := rows(t, view(t, p, "/overview.json"), "totals")[0]
	channels := rows(t, view(t, p, "/channels.json"), "channels")
	subs := rows(t, view(t, p, "/subscribers.json"), "subscribers")
	metrics := samples(t, look(t, p, "/metrics"))

	var sent uint64
	live, declared, count := 0, 0, 0
	for c := range s.Channels() {
		name := c.Name.(string)
		if strings.HasPrefix(name, "earshot.") {
			continue // the server's own
		}
		declared++
		if c.Live {
			live++
		}
		sent += c.Sent
		r := find(t, channels, "channel", name)
		require.Equal(t, number(c.Sent), number(r["sent"]))
		require.Equal(t, number(c.Subscribers), number(r["subscribers"]))
		require.Equal(t, number(c.Sent), metrics[`earshot_channel_sent_total{channel="`+name+`"}`], name)
		require.Equal(t, number(c.Subscribers), metrics[`earshot_channel_subscriptions{channel="`+name+`"}`], name)
	}
	page := look(t, p, "/subscribers")
	for st := range s.Subscriptions() {
		count++
		r := find(t, subs, "ref", st.Ref.String())
		html := regexp.MustCompile(`<tr data-key="` + regexp.QuoteMeta(st.Ref.String()) + `">.*`).FindString(page)
		for key, want := range map[string]any{
			"offered": st.Offered, "received": st.Received, "missed": st.Missed, "discarded": st.Discarded, "mismatched": st.Mismatched, "depth": st.Depth,
		} {
			require.Equal(t, number(want), number(r[key]), key)
			require.Contains(t, html, `<data value="`+number(want)+`">`)
		}
		require.Equal(t, number(st.Depth), metrics[`earshot_mailbox_depth{channel="`+st.Channel.(string)+`"}`])
		require.Equal(t, st.Offered, st.Received+st.Missed+st.Discarded+uint64(st.Depth))
	}
	require.Equal(t, 5, count)
	st := s.Stats()
	require.NotZero(t, st.Missed)
	require.NotZero(t, st.Mismatched)
	require.NotZero(t, st.Discarded)
	require.Equal(t, st.Offered, st.Received+st.Missed+st.Discarded+uint64(st.Depth))
	for _, c := range []struct {
		key, metric string
		want        any
	}{
		{"channels_live", "earshot_channels_live", live},
		{"channels_declared", "earshot_channels_declared", declared},
		{"subscribers", "earshot_subscriptions", count},
		{"sent", "", sent},
		{"offered", "earshot_events_offered_total", st.Offered},
		{"received", "earshot_events_received_total", st.Received},
		{"missed", "earshot_events_missed_total", st.Missed},
		{"discarded", "earshot_events_discarded_total", st.Discarded},
		{"mismatched", "earshot_events_mismatched_total", st.Mismatched},
		{"depth", "earshot_events_waiting", st.Depth},
		{"viewers", "earshot_tap_viewers", 1},
		{"slow", "earshot_slow_subscribers", 0},
	} {
		require.Equal(t, number(c.want), number(totals[c.key]), c.key)
		if c.metric != "" {
			require.Equal(t, number(c.want), metrics[c.metric], c.metric)
		}
	}
}

// The metrics are in the format of Prometheus: each has a help text and a type, and its samples stand
// together.
func TestMetrics_Format(t *testing.T) {
	s := newServer(t)
	earshot.NewChannel[int](s, "a\"b\\c\nd", nil)
	for i := range 250 {
		newMailbox[int](t, s, "many."+number(i), nil)
	}
	w := ask(newPage(t, s, nil), local("GET", "/metrics"))
	require.Equal(t, "text/plain; version=0.0.4; charset=utf-8", w.Header().Get("Content-Type"))
	line := regexp.MustCompile(`^([a-z_]+)(\{([a-z_]+="(\\[n"\\]|[^"\\\n])*",?)+\})? [0-9.e+-]+$`)
	typed := map[string]bool{}
	current, series := "", map[string]int{}
	for text := range strings.Lines(w.Body.String()) {
		text = strings.TrimSuffix(text, "\n")
		f := strings.Fields(text)
		switch {
		case strings.HasPrefix(text, "# HELP "):
			require.Greater(t, len(f), 3, text)
		case strings.HasPrefix(text, "# TYPE "):
			current = f[2]
			require.False(t, typed[current], "%s stands in two places", current)
			typed[current] = true
			require.Equal(t, strings.HasSuffix(current, "_total"), f[3] == "counter", text)
		default:
			m := line.FindStringSubmatch(text)
			require.NotNil(t, m, "%q", text)
			require.Equal(t, current, m[1])
			series[current]++
		}
	}
	require.Contains(t, w.Body.String(), `earshot_channel_subscriptions{channel="a\"b\\c\nd"} 0`)
	require.Equal(t, 201, series["earshot_channel_subscriptions"], "200 names, and the others together")
	require.Contains(t, w.Body.String(), `channel="_other"`)
}
