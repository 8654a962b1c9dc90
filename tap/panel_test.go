package tap_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot/tap"
	"github.com/earshot-go/earshot/tap/panel"
	"github.com/stretchr/testify/require"
)

// A fake is a panel of another package.
type fake struct {
	name string
	view func(context.Context) panel.View
}

func (f fake) Name() string { return f.name }
func (f fake) View(ctx context.Context) panel.View {
	if f.view == nil {
		return panel.View{Title: "Fake"}
	}
	return f.view(ctx)
}

func queues(status panel.Status) panel.Panel {
	return fake{"queues", func(context.Context) panel.View {
		return panel.View{Title: "Queues", Status: status, Summary: "3 jobs <wait>", Tables: []panel.Table{{
			Name: "queues", Title: "Queues", Columns: []panel.Column{
				{Key: "queue", Kind: panel.Code, Dim: true}, {Key: "waiting", Kind: panel.Count, Metric: "earshot_queue_waiting", Doc: "Jobs that wait."},
			},
			Rows: [][]any{{"mail", 3}, {"pdf", 0}},
		}}}
	}}
}

// A panel has a page, an entry in the menu, a twin in JSON, its metrics, and a say in how things are.
func TestPanel(t *testing.T) {
	s := newServer(t)
	p := newPage(t, s, &tap.Options{Panels: []panel.Panel{queues(panel.OK), fake{name: "cron-2"}}})
	for _, page := range []string{"/", "/channels", "/tap", "/help", "/queues"} {
		html := look(t, p, page)
		require.Contains(t, html, `<a href="./queues"`)
		require.Contains(t, html, `>Queues</a>`)
		require.Contains(t, html, `>Cron-2</a>`)
	}
	require.Contains(t, look(t, p, "/queues"), "3 jobs &lt;wait&gt;")
	v := view(t, p, "/queues.json")
	require.Equal(t, "3 jobs <wait>", v["summary"])
	require.Equal(t, "3", number(find(t, rows(t, v, "queues"), "queue", "mail")["waiting"]))
	require.Equal(t, "3", samples(t, look(t, p, "/metrics"))[`earshot_queue_waiting{queue="mail"}`])
	require.Equal(t, "ok", view(t, p, "/overview.json")["status"])
	require.NotContains(t, view(t, p, "/overview.json")["summary"], "jobs")
}

// The overview is as bad as its worst part, and says which that is.
func TestPanel_Health(t *testing.T) {
	s := newServer(t)
	p := newPage(t, s, &tap.Options{Panels: []panel.Panel{fake{name: "fine"}, queues(panel.Bad), queues2{}}})
	v := view(t, p, "/overview.json")
	require.Equal(t, "bad", v["status"])
	require.Equal(t, "Queues: 3 jobs <wait>", v["summary"])
}

type queues2 struct{}

func (queues2) Name() string { return "other" }
func (queues2) View(context.Context) panel.View {
	return panel.View{Title: "Other", Status: panel.Warn, Summary: "so so"}
}

// A panel that panics costs its own page, which says so; the others, and what was in the panic's hands, stay.
func TestPanel_Panics(t *testing.T) {
	s := newServer(t)
	p := newPage(t, s, &tap.Options{Panels: []panel.Panel{fake{"broken", func(context.Context) panel.View { panic(canary) }}, queues(panel.OK)}})
	v := view(t, p, "/broken.json")
	require.Equal(t, "bad", v["status"])
	require.Contains(t, v["summary"], "panicked")
	over := view(t, p, "/overview.json")
	require.Equal(t, "bad", over["status"])
	require.Contains(t, over["summary"], "broken")
	require.Contains(t, look(t, p, "/metrics"), "earshot_queue_waiting")
	for _, page := range []string{"/", "/broken", "/broken.json", "/metrics"} {
		require.NotContains(t, look(t, p, page), canary)
	}
}

// A panel is asked in the context of the request that wants it.
func TestPanel_Context(t *testing.T) {
	s := newServer(t)
	seen := make(chan [2]error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	p := newPage(t, s, &tap.Options{Panels: []panel.Panel{fake{"queues", func(ctx context.Context) panel.View {
		before := ctx.Err()
		cancel()
		seen <- [2]error{before, ctx.Err()}
		return panel.View{}
	}}}})
	ask(p, local("GET", "/queues").WithContext(ctx))
	got := <-seen
	require.NoError(t, got[0])
	require.Error(t, got[1])
}

// A panel that does not answer costs its own page, and two seconds; it is not asked again before it has.
func TestPanel_Hangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		release, asked := make(chan struct{}), new(atomic.Int32)
		p := newPage(t, s, &tap.Options{Panels: []panel.Panel{
			fake{"stuck", func(context.Context) panel.View { asked.Add(1); <-release; return panel.View{Summary: "at last"} }}, queues(panel.OK),
		}})
		for range 3 {
			start := time.Now()
			v := view(t, p, "/overview.json")
			require.Equal(t, "bad", v["status"])
			require.Contains(t, v["summary"], "stuck")
			require.Equal(t, 2*time.Second, time.Since(start))
		}
		require.Equal(t, int32(1), asked.Load())
		require.Contains(t, look(t, p, "/metrics"), "earshot_queue_waiting")
		close(release)
		synctest.Wait()
		require.Equal(t, "at last", view(t, p, "/stuck.json")["summary"])
		require.Equal(t, int32(2), asked.Load())
	})
}

// A name is a segment of a path, belongs to one panel, and to no page that there is.
func TestPanel_Names(t *testing.T) {
	s := newServer(t)
	for _, name := range []string{"a", "queues", "cron-2", "a2", "z-"} {
		require.NotPanics(t, func() { newPage(t, s, &tap.Options{Panels: []panel.Panel{fake{name: name}}}) }, name)
	}
	for _, name := range []string{
		"", "2a", "-a", "A", "Queues", "a/b", "a.json", "a b", "ä", "..", "a?b", "a#", "a\x00", "overview", "channels", "channel", "subscribers",
		"subscriber", "slow", "tap", "help", "events", "metrics", "emit", "index",
	} {
		require.PanicsWithValue(t, "tap: Handler: a panel's name is invalid or taken: "+name, func() {
			tap.Handler(s, &tap.Options{Panels: []panel.Panel{fake{name: name}}})
		}, name)
	}
	require.Panics(t, func() { tap.Handler(s, &tap.Options{Panels: []panel.Panel{fake{name: "a"}, fake{name: "a"}}}) })
	require.True(t, strings.HasPrefix(look(t, newPage(t, s, nil), "/help"), "<!DOCTYPE"))
}
