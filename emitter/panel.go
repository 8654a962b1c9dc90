package emitter

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/earshot-go/earshot/tap/panel"
)

// Panel returns the page "emitters" of the tap: the state of the given emitters, their engines, what each engine
// promises, and who listens.
//
//	tap.Handler(nil, &tap.Options{Panels: []panel.Panel{emitter.Panel(e)}})
func Panel(emitters ...*Emitter) panel.Panel { return page(slices.Clone(emitters)) }

type page []*Emitter

func (p page) Name() string { return "emitters" }

func (p page) View(context.Context) panel.View {
	v := panel.View{Title: "Emitters", Summary: "All emitters live in memory."}
	state := panel.Table{Name: "emitters", Title: "State", Empty: "no emitters were given to the panel", Columns: []panel.Column{
		{Key: "emitter", Label: "Emitter", Kind: panel.Code, Dim: true, Doc: "the core channel on which its events can be tapped"},
		{Key: "listeners", Label: "Listeners", Kind: panel.Count, Metric: "earshot_emitter_listeners", Doc: "registered here"},
		{Key: "queued", Label: "Queued", Kind: panel.Count, Metric: "earshot_emitter_queued", Doc: "events that wait for listeners, the one in hand included"},
		{Key: "running", Label: "At work", Kind: panel.Code, Doc: "where the listener was registered that is being called"},
		{Key: "failures", Label: "Failures", Kind: panel.Count, Metric: "earshot_emitter_listener_failures_total", Counter: true, Doc: "listeners that returned an error or panicked"},
		{Key: "errors", Label: "Errors", Kind: panel.Count, Metric: "earshot_emitter_errors_total", Counter: true, Doc: "error events"},
	}}
	engines := panel.Table{Name: "engines", Title: "Engines", Empty: "every emitter lives in memory: set Options.Bus to reach other processes", Columns: []panel.Column{
		{Key: "emitter", Label: "Emitter", Kind: panel.Code, Dim: true, Doc: "the core channel on which its events can be tapped"},
		{Key: "engine", Label: "Engine", Kind: panel.Text, Doc: "without passwords"},
		{Key: "up", Label: "Up", Kind: panel.Flag, Metric: "earshot_emitter_up", Doc: "the engine answers, and the feed is open if somebody listens"},
		{Key: "since", Label: "Since", Kind: panel.Time, Doc: "when that last changed"},
		{Key: "listening", Label: "Feed", Kind: panel.Flag, Metric: "earshot_emitter_listening", Doc: "a feed is open"},
		{Key: "disconnects", Label: "Disconnects", Kind: panel.Count, Metric: "earshot_emitter_disconnects_total", Counter: true, Doc: "times the engine was lost"},
		{Key: "gaps", Label: "Gaps", Kind: panel.Count, Metric: "earshot_emitter_gaps_total", Counter: true, Doc: "stretches of which events may be missing here"},
		{Key: "lag", Label: "Lag", Kind: panel.Seconds, Metric: "earshot_emitter_lag_seconds", Doc: "from the emitting of the last event to its arrival here, by the two clocks"},
		{Key: "buffered", Label: "Buffered", Kind: panel.Count, Metric: "earshot_emitter_buffered", Doc: "events that the engine has not accepted"},
		{Key: "bytes", Label: "Bytes", Kind: panel.Bytes, Metric: "earshot_emitter_buffered_bytes", Doc: "what they hold"},
		{Key: "spilled", Label: "Spilled", Kind: panel.Count, Metric: "earshot_emitter_spilled", Doc: "events on disk that wait for the engine"},
		{Key: "published", Label: "Published", Kind: panel.Count, Metric: "earshot_emitter_published_total", Counter: true, Doc: "events that the engine has accepted"},
		{Key: "dropped", Label: "Dropped", Kind: panel.Count, Metric: "earshot_emitter_dropped_total", Counter: true, Doc: "own events that will never be sent"},
		{Key: "repeated", Label: "Repeated", Kind: panel.Count, Metric: "earshot_emitter_repeated_total", Counter: true, Doc: "events that came again and were left out"},
		{Key: "reason", Label: "Last word", Kind: panel.Text, Doc: "what the engine said last, while it is away"},
	}}
	caps := panel.Table{Name: "capabilities", Title: "What the engines promise", Columns: []panel.Column{
		{Key: "emitter", Label: "Emitter", Kind: panel.Code},
		{Key: "engine", Label: "Engine", Kind: panel.Text},
		{Key: "durable", Label: "Durable", Kind: panel.Flag, Doc: "what was accepted survives a kill of the server"},
		{Key: "replay", Label: "Replay", Kind: panel.Flag, Doc: "it keeps events, so that nothing is missed across a reconnect, and there is a timeline"},
		{Key: "ordered", Label: "Ordered", Kind: panel.Flag, Doc: "what one process emits arrives in that order"},
		{Key: "dedupe", Label: "Dedupe", Kind: panel.Flag, Doc: "the engine itself keeps an event that is sent again only once"},
		{Key: "processes", Label: "Processes", Kind: panel.Flag, Doc: "other processes hear the same stream"},
		{Key: "max_bytes", Label: "Largest", Kind: panel.Bytes, Doc: "the largest event as JSON; unknown if there is no limit"},
		{Key: "note", Label: "Note", Kind: panel.Text},
	}}
	listeners := panel.Table{Name: "listeners", Title: "Listeners", Empty: "nobody listens", Columns: []panel.Column{
		{Key: "emitter", Label: "Emitter", Kind: panel.Code},
		{Key: "event", Label: "Event", Kind: panel.Code, Doc: "the name, or the pattern"},
		{Key: "listener", Label: "Listener", Kind: panel.Code, Doc: "where it was registered"},
		{Key: "once", Label: "Once", Kind: panel.Flag},
	}}
	down := 0
	for _, e := range p {
		s := e.Stats()
		var running any
		if s.Running != "" {
			running = s.Running
		}
		state.Rows = append(state.Rows, []any{s.Name, s.Listeners, s.Queued, running, s.Failures, s.Errors})
		listeners.Rows = append(listeners.Rows, e.listenerRows()...)
		b := s.Bus
		if b == nil {
			continue
		}
		if !b.Up {
			down++
		}
		var lag, largest any
		if b.Lag != 0 {
			lag = b.Lag.Round(time.Microsecond)
		}
		if b.Caps.MaxBytes > 0 {
			largest = b.Caps.MaxBytes
		}
		engines.Rows = append(engines.Rows, []any{s.Name, b.Engine, b.Up, b.Since, b.Listening, b.Disconnects, b.Gaps, lag,
			b.Buffered, b.BufferedBytes, b.Spilled, b.Published, b.Dropped, b.Repeated, b.Reason})
		caps.Rows = append(caps.Rows, []any{s.Name, b.Caps.Engine, b.Caps.Durable, b.Caps.Replay, b.Caps.Ordered,
			b.Caps.Dedupe, b.Caps.MultiProcess, largest, b.Caps.Note})
	}
	if n := len(engines.Rows); n > 0 {
		v.Summary = fmt.Sprintf("Engines that answer: %d of %d.", n-down, n)
		if down > 0 {
			v.Status = panel.Bad
			v.Summary += " Events wait in the buffers."
		}
	}
	v.Tables = []panel.Table{state, engines}
	if len(caps.Rows) > 0 {
		v.Tables = append(v.Tables, caps)
	}
	v.Tables = append(v.Tables, listeners)
	return v
}

func (e *Emitter) listenerRows() (rows [][]any) {
	e.book.mu.Lock()
	all := e.book.allLocked("")
	e.book.mu.Unlock()
	slices.SortFunc(all, func(a, b *listener) int { return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.place, b.place)) })
	for _, l := range all {
		rows = append(rows, []any{e.name, l.name, l.site(), l.once})
	}
	return rows
}
