package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/earshot-go/earshot/tap/panel"
)

// panelPatience is how long the page waits for a store.
const panelPatience = 2 * time.Second

// Panel returns the page "queues" of the tap: of each queue how much waits and for how long, what this process does with
// it, and which items have died of what. It asks the stores each time that somebody looks, and changes nothing.
//
//	tap.Handler(nil, &tap.Options{Panels: []panel.Panel{queue.Panel(q)}})
func Panel(queues ...*Queue) panel.Panel { return page(slices.Clone(queues)) }

type page []*Queue

func (p page) Name() string { return "queues" }

func (p page) View(ctx context.Context) panel.View {
	ctx, cancel := context.WithTimeout(ctx, panelPatience)
	defer cancel()
	v := panel.View{Title: "Queues", Tables: []panel.Table{waitingTable, hereTable, deadTable, storesTable}}
	all, errs := p.stats(ctx)
	dead, silent := 0, 0
	for i, q := range p {
		stats, err := all[i], errs[i]
		if err != nil && !errors.Is(err, ErrUnsupported) {
			silent++
		}
		for _, s := range stats.Queues {
			var oldest any
			if !s.OldestReady.IsZero() {
				oldest = max(0, stats.Now.Sub(s.OldestReady))
			}
			dead += s.Dead
			v.Tables[0].Rows = append(v.Tables[0].Rows, []any{s.Queue, q.ch.Name(), q.caps.Engine, s.Ready, s.Delayed, s.Leased, s.Dead, oldest})
			if s.Dead > 0 {
				v.Tables[2].Rows = append(v.Tables[2].Rows, q.deadRows(ctx, s.Queue)...)
			}
		}
		c := q.Counts()
		running := 0
		for _, n := range c.Running {
			running += n
		}
		var trouble any
		if c.LastTrouble != "" {
			trouble = c.LastTrouble
		}
		if err != nil {
			trouble = err.Error()
		}
		v.Tables[1].Rows = append(v.Tables[1].Rows, []any{q.ch.Name(), running, c.Published, c.Repeated, c.Unbound, c.Done, c.Failed, c.Died, c.Released, c.Lost, c.Panics, c.Trouble, trouble})
		v.Tables[3].Rows = append(v.Tables[3].Rows, q.capsRow())
	}
	v.Summary, v.Status = "No item is dead.", panel.OK
	if dead > 0 {
		v.Summary, v.Status = fmt.Sprintf("Dead items: %d. Redrive or remove them.", dead), panel.Warn
	}
	if silent > 0 {
		v.Summary, v.Status = fmt.Sprintf("Stores that do not answer: %d of %d.", silent, len(p)), panel.Bad
	}
	return v
}

// stats asks all stores at the same time: one that is silent uses up the patience for itself alone.
func (p page) stats(ctx context.Context) ([]Stats, []error) {
	all, errs := make([]Stats, len(p)), make([]error, len(p))
	var asking sync.WaitGroup
	for i, q := range p {
		asking.Go(func() { all[i], errs[i] = q.Stats(ctx) })
	}
	asking.Wait()
	return all, errs
}

// deadRows are some of the dead items of a queue.
func (q *Queue) deadRows(ctx context.Context, queue string) (rows [][]any) {
	records, err := q.Find(ctx, Query{Queue: queue, State: StateDead, Limit: 20})
	if err != nil {
		return [][]any{{queue, nil, nil, nil, nil, nil, nil, err.Error()}}
	}
	for _, r := range records {
		reason, _, _ := strings.Cut(r.Reason, "\n") // of a panic the rest is where it was
		rows = append(rows, []any{r.Queue, r.ID, r.Name, r.TID, r.Deliveries, r.Fails, r.Until, reason})
	}
	return rows
}

func (q *Queue) capsRow() []any {
	var largest any
	if q.caps.MaxBytes > 0 {
		largest = q.caps.MaxBytes
	}
	return []any{q.ch.Name(), q.caps.Engine, q.caps.Durable, q.caps.MultiProcess, q.caps.AtomicBatch, q.caps.Fenced, q.caps.Unique, q.caps.Serial, largest, q.caps.Note}
}

var waitingTable = panel.Table{Name: "queues", Title: "In the stores", Empty: "no queue has items or bindings", Columns: []panel.Column{
	{Key: "queue", Label: "Queue", Kind: panel.Code, Dim: true},
	{Key: "channel", Label: "Channel", Kind: panel.Code, Dim: true, Doc: "of the Queue that was given to the panel"},
	{Key: "engine", Label: "Engine", Kind: panel.Text},
	{Key: "ready", Label: "Ready", Kind: panel.Count, Metric: "earshot_queue_ready", Doc: "items that are due and wait for a worker"},
	{Key: "delayed", Label: "Delayed", Kind: panel.Count, Metric: "earshot_queue_delayed", Doc: "items that wait for their time"},
	{Key: "leased", Label: "Leased", Kind: panel.Count, Metric: "earshot_queue_leased", Doc: "items in the hands of a worker"},
	{Key: "dead", Label: "Dead", Kind: panel.Count, Metric: "earshot_queue_dead", Doc: "items that wait for somebody to redrive or remove them"},
	{Key: "oldest", Label: "Oldest", Kind: panel.Seconds, Metric: "earshot_queue_oldest_seconds", Doc: "for how long the first ready item has been due"},
}}

var hereTable = panel.Table{Name: "work", Title: "Here", Empty: "no queues were given to the panel", Columns: []panel.Column{
	{Key: "channel", Label: "Channel", Kind: panel.Code, Dim: true, Doc: "the core channel on which it can be tapped"},
	{Key: "running", Label: "Running", Kind: panel.Count, Metric: "earshot_queue_running", Doc: "items in the hands of this process"},
	{Key: "published", Label: "Published", Kind: panel.Count, Metric: "earshot_queue_published_total", Counter: true, Doc: "items that were stored"},
	{Key: "repeated", Label: "Repeated", Kind: panel.Count, Metric: "earshot_queue_repeated_total", Counter: true, Doc: "items that were there already, or whose key was held"},
	{Key: "unbound", Label: "Unbound", Kind: panel.Count, Metric: "earshot_queue_unbound_total", Counter: true, Doc: "events that no queue is bound to"},
	{Key: "done", Label: "Done", Kind: panel.Count, Metric: "earshot_queue_done_total", Counter: true},
	{Key: "failed", Label: "Failed", Kind: panel.Count, Metric: "earshot_queue_failed_total", Counter: true, Doc: "attempts that failed and come again"},
	{Key: "died", Label: "Died", Kind: panel.Count, Metric: "earshot_queue_died_total", Counter: true},
	{Key: "released", Label: "Released", Kind: panel.Count, Metric: "earshot_queue_released_total", Counter: true, Doc: "given back, uncounted"},
	{Key: "lost", Label: "Lost", Kind: panel.Count, Metric: "earshot_queue_lost_total", Counter: true, Doc: "leases that were lost while a handler ran"},
	{Key: "panics", Label: "Panics", Kind: panel.Count, Metric: "earshot_queue_panics_total", Counter: true},
	{Key: "trouble", Label: "Trouble", Kind: panel.Count, Metric: "earshot_queue_store_failures_total", Counter: true, Doc: "calls of the store that failed"},
	{Key: "reason", Label: "Last word", Kind: panel.Text, Doc: "what the store said, as long as it fails"},
}}

var deadTable = panel.Table{Name: "dead", Title: "Dead items", Empty: "no item is dead", Columns: []panel.Column{
	{Key: "queue", Label: "Queue", Kind: panel.Code},
	{Key: "id", Label: "ID", Kind: panel.Code},
	{Key: "name", Label: "Name", Kind: panel.Code},
	{Key: "tid", Label: "About", Kind: panel.Text},
	{Key: "deliveries", Label: "Attempts", Kind: panel.Count, Doc: "how often it was leased"},
	{Key: "fails", Label: "Fails", Kind: panel.Count},
	{Key: "died", Label: "Died", Kind: panel.Time},
	{Key: "reason", Label: "Reason", Kind: panel.Text},
}}

var storesTable = panel.Table{Name: "stores", Title: "What the stores promise", Columns: []panel.Column{
	{Key: "channel", Label: "Channel", Kind: panel.Code},
	{Key: "engine", Label: "Engine", Kind: panel.Text},
	{Key: "durable", Label: "Durable", Kind: panel.Flag, Doc: "what was answered survives a kill"},
	{Key: "processes", Label: "Processes", Kind: panel.Flag, Doc: "other processes share the work"},
	{Key: "atomic", Label: "Atomic", Kind: panel.Flag, Doc: "all items of a call are stored, or none"},
	{Key: "fenced", Label: "Fenced", Kind: panel.Flag, Doc: "a worker that lost its lease cannot settle the item"},
	{Key: "unique", Label: "Unique", Kind: panel.Flag, Doc: "keys"},
	{Key: "serial", Label: "Serial", Kind: panel.Flag, Doc: "one at a time of each serial key"},
	{Key: "max_bytes", Label: "Largest", Kind: panel.Bytes, Doc: "the largest payload; unknown if there is no limit"},
	{Key: "note", Label: "Note", Kind: panel.Text},
}}
