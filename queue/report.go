package queue

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// A Report says what became of an item, here. The channel of a queue carries them; while nobody listens they are not
// made. Those of one item come in the order in which things happened, but that Published, which waits for the store's
// answer, may come after Begun.
type Report struct {
	What       What
	Queue      string `json:",omitempty"`
	ID         string `json:",omitempty"`
	Name       string `json:",omitempty"`
	TID        string `json:",omitempty"`
	Deliveries int    `json:",omitempty"`
	Fails      int    `json:",omitempty"`
	// Took is how long the handler ran.
	Took time.Duration `json:",omitempty"`
	Err  string        `json:",omitempty"`
}

// What became of an item.
type What string

const (
	Published What = "published" // it was stored
	Repeated  What = "repeated"  // it was there already, or its key was held
	Unbound   What = "unbound"   // no queue wanted the event
	Begun     What = "begun"     // a handler begins
	Done      What = "done"      // acknowledged
	Failed    What = "failed"    // it comes again
	Died      What = "died"      // buried, or failed once too often
	Released  What = "released"  // given back, uncounted
	Lost      What = "lost"      // its lease was lost while the handler ran
	Trouble   What = "trouble"   // the store has failed; what was tried is in Name
)

// Counts are what this process has done since the Queue was made.
type Counts struct {
	Published, Repeated, Unbound uint64
	Begun, Done, Failed, Died    uint64
	Released, Lost               uint64
	Panics                       uint64 // of handlers; they are among Failed and Died
	Trouble                      uint64 // calls of the store that failed
	LastTrouble                  string // what the last of them said, "" since one has gone well
	Running                      map[string]int
}

type counts struct {
	published, repeated, unbound, begun, done, failed, died, released, lost, panics, trouble atomic.Uint64

	troubled atomic.Bool // last is not empty

	mu   sync.Mutex // guards the fields below
	last string     // trouble
	said time.Time  // when trouble was logged last
	told bool       // it was logged, and not yet that it is over
}

// Counts returns what this process has done. It does not block on the store.
func (q *Queue) Counts() Counts {
	c := &q.counts
	out := Counts{
		Published: c.published.Load(), Repeated: c.repeated.Load(), Unbound: c.unbound.Load(),
		Begun: c.begun.Load(), Done: c.done.Load(), Failed: c.failed.Load(), Died: c.died.Load(),
		Released: c.released.Load(), Lost: c.lost.Load(), Panics: c.panics.Load(), Trouble: c.trouble.Load(),
		Running: map[string]int{},
	}
	c.mu.Lock()
	out.LastTrouble = c.last
	c.mu.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	for name, w := range q.workers {
		w.mu.Lock()
		out.Running[name] = len(w.jobs)
		w.mu.Unlock()
	}
	return out
}

func (q *Queue) published(items []Item, out []Enqueued) {
	q.fine()
	live := q.ch.Listening()
	for i := range items {
		what := Published
		if out[i].Status == Duplicate {
			what = Repeated
			q.counts.repeated.Add(1)
		} else {
			q.counts.published.Add(1)
		}
		if live {
			q.tell(what, &items[i], Report{})
		}
	}
}

func (q *Queue) unbound(items []Item) {
	q.counts.unbound.Add(uint64(len(items)))
	if len(items) > 0 && q.ch.Listening() {
		for _, it := range items {
			it.Queue = ""
			q.tell(Unbound, &it, Report{})
		}
	}
}

func (q *Queue) begun(l *Leased) {
	q.counts.begun.Add(1)
	if q.ch.Listening() {
		q.tell(Begun, &l.Item, Report{Deliveries: l.Deliveries, Fails: l.Fails})
	}
}

// settled notes what became of an item whose settlement has had its effect.
func (q *Queue) settled(l *Leased, s Settlement, err error, took time.Duration) {
	q.fine()
	what, fails := Done, l.Fails
	switch s.Action {
	case Ack:
		q.counts.done.Add(1)
	case Release:
		what = Released
		q.counts.released.Add(1)
	case Fail, Bury:
		what = Failed
		if s.Action == Fail {
			fails++
		}
		if s.Action == Bury || l.MaxFails == 0 && fails >= DefaultMaxFails || l.MaxFails > 0 && fails >= l.MaxFails {
			what = Died
			q.counts.died.Add(1)
			q.opts.Logger.Warn("queue: an item has died: look at it, then redrive or remove it", "queue", l.Queue, "id", l.ID, "name", l.Name, "tid", l.TID, "fails", fails, "reason", s.Reason)
		} else {
			q.counts.failed.Add(1)
		}
		if errors.Is(err, ErrPanic) {
			q.counts.panics.Add(1)
			q.opts.Logger.Error("queue: a handler panicked", "queue", l.Queue, "id", l.ID, "name", l.Name, "error", err)
		}
	}
	if q.ch.Listening() {
		q.tell(what, &l.Item, Report{Deliveries: l.Deliveries, Fails: fails, Took: took, Err: s.Reason})
	}
}

func (q *Queue) lost(l *Leased, why error) {
	q.counts.lost.Add(1)
	q.opts.Logger.Warn("queue: a lease was lost, so that the work may be done twice", "queue", l.Queue, "id", l.ID, "name", l.Name, "tid", l.TID, "why", why)
	if q.ch.Listening() {
		q.tell(Lost, &l.Item, Report{Deliveries: l.Deliveries, Fails: l.Fails, Err: why.Error()})
	}
}

// tell sends a report about an item.
func (q *Queue) tell(what What, it *Item, r Report) {
	r.What, r.Queue, r.ID, r.Name, r.TID = what, it.Queue, it.ID, it.Name, it.TID
	q.ch.Send(r)
}

// troubleEvery is how often the log has trouble of the store, also if it comes and goes all the time.
const troubleEvery = time.Minute

// fault notes that a call of the store has failed.
func (q *Queue) fault(doing string, err error) {
	if q.ctx.Err() != nil {
		return
	}
	c := &q.counts
	c.trouble.Add(1)
	c.mu.Lock()
	text := err.Error()
	say := time.Since(c.said) >= troubleEvery
	c.last = text
	c.troubled.Store(true)
	if say {
		c.said, c.told = time.Now(), true
	}
	c.mu.Unlock()
	if say {
		q.opts.Logger.Error("queue: the store has failed; it is tried again", "doing", doing, "error", err)
	}
	if q.ch.Listening() {
		q.ch.Send(Report{What: Trouble, Name: doing, Err: text})
	}
}

// fine notes that the store has answered.
func (q *Queue) fine() {
	c := &q.counts
	if !c.troubled.Load() {
		return
	}
	c.mu.Lock()
	was, told := c.last, c.told
	c.last, c.told = "", false
	c.troubled.Store(false)
	c.mu.Unlock()
	if told {
		q.opts.Logger.Info("queue: the store answers again", "said", was)
	}
}
