package storetest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// A History is what was asked of a store, and what it has answered, by many callers and processes. [History.Check] tells
// what of it cannot be if the store keeps its promises. IDs must not be used again for other items, and a History knows
// only of Enqueue, Lease and Settle: no item may be removed or redriven. Its methods may be called from many
// goroutines.
type History struct {
	mu    sync.Mutex // guards the fields below
	acts  []*act
	begun map[string]*act // those of other processes without an answer
	left  map[string]queue.Record
	all   bool // left has been told
}

// An act is one call. Times are nanoseconds since 1970 by the clock of the machine, which its processes share.
type act struct {
	By         string // the process
	N          int64  // which of the calls of that process
	Begin, End int64  // End is 0 if there was no answer
	Err        string `json:",omitempty"`

	Enqueue  []queue.Item        `json:",omitempty"`
	Enqueued []queue.Enqueued    `json:",omitempty"`
	Lease    *queue.LeaseRequest `json:",omitempty"`
	Leased   []queue.Leased      `json:",omitempty"`
	Settle   []queue.Settlement  `json:",omitempty"`
	Settled  []string            `json:",omitempty"` // "" is an effect, lostText is none, others are not known
}

const lostText = "lost"

// answered reports whether the call has said what it has done.
func (a *act) answered() bool { return a.End != 0 && a.Err == "" }

// NewHistory returns a history without anything in it.
func NewHistory() *History {
	return &History{begun: map[string]*act{}, left: map[string]queue.Record{}}
}

// Watch returns the store with its calls recorded. What else the store can do is not there: nobody would know of it.
func (h *History) Watch(s queue.Store) queue.Store {
	return &watched{Store: s, note: func(a act, first bool) *act {
		h.mu.Lock()
		defer h.mu.Unlock()
		if first {
			h.acts = append(h.acts, &a)
			return &a
		}
		return nil
	}, mu: &h.mu}
}

// Read reads what another process has told about its own calls with [Tell], line by line, until it ends. A last line
// without an end is of one who was killed, and means nothing.
func (h *History) Read(r io.Reader) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := h.line(line); err != nil {
			return err
		}
	}
}

// line reads one line: that a call has begun, or all of it.
func (h *History) line(line []byte) error {
	a := &act{}
	if err := json.Unmarshal(line, a); err != nil {
		return fmt.Errorf("storetest: no line of a history: %.200q: %w", line, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	id := fmt.Sprint(a.By, " ", a.N)
	if was := h.begun[id]; was != nil {
		*was = *a
		delete(h.begun, id)
		return nil
	}
	h.acts = append(h.acts, a)
	if a.End == 0 {
		h.begun[id] = a
	}
	return nil
}

// Left tells which items are in the store at the end: all of them, or Check takes the others for lost.
func (h *History) Left(rs []queue.Record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = true
	for _, r := range rs {
		h.left[r.ID] = r
	}
}

// Acknowledged returns how many items Enqueue has answered for. An item that was enqueued twice counts twice, and so do
// duplicates.
func (h *History) Acknowledged() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range h.acts {
		n += len(a.Enqueued)
	}
	return n
}

// calls returns how many calls were answered.
func (h *History) calls() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range h.acts {
		if a.End != 0 {
			n++
		}
	}
	return n
}

// watched is a store that tells what it is asked and what it answers.
type watched struct {
	queue.Store
	note func(a act, first bool) *act
	mu   *sync.Mutex // of what note returns
}

var (
	acts  atomic.Int64
	epoch = time.Now()
	me    = fmt.Sprint(os.Getpid(), ".", epoch.UnixNano())
)

// stamp is the time of day at which this process has begun, and what has gone by since: it never goes back.
func stamp() int64 { return epoch.UnixNano() + int64(time.Since(epoch)) }

func (w *watched) begin(a act) *act {
	a.By, a.N, a.Begin = me, acts.Add(1), stamp()
	if got := w.note(a, true); got != nil {
		return got
	}
	return &a
}

func (w *watched) end(a *act, err error, answer func()) {
	if w.mu != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
	}
	if err == nil {
		answer()
	} else {
		a.Err = err.Error()
	}
	a.End = stamp()
	if w.mu == nil {
		w.note(*a, false)
	}
}

func (w *watched) Enqueue(ctx context.Context, items []queue.Item) ([]queue.Enqueued, error) {
	a := w.begin(act{Enqueue: items})
	got, err := w.Store.Enqueue(ctx, items)
	w.end(a, err, func() { a.Enqueued = got })
	return got, err
}

func (w *watched) Lease(ctx context.Context, r queue.LeaseRequest) ([]queue.Leased, error) {
	a := w.begin(act{Lease: &r})
	got, err := w.Store.Lease(ctx, r)
	w.end(a, err, func() { a.Leased = got })
	return got, err
}

func (w *watched) Settle(ctx context.Context, s []queue.Settlement) ([]error, error) {
	a := w.begin(act{Settle: s})
	errs, err := w.Store.Settle(ctx, s)
	w.end(a, err, func() {
		for _, err := range errs {
			switch {
			case err == nil:
				a.Settled = append(a.Settled, "")
			case errors.Is(err, queue.ErrLeaseLost):
				a.Settled = append(a.Settled, lostText)
			default:
				a.Settled = append(a.Settled, err.Error())
			}
		}
	})
	return errs, err
}

// Tell is Watch for a process that may be killed: each call is written as a line when it begins and when it has ended, for
// [History.Read] elsewhere. What cannot be written is not told.
func Tell(w io.Writer, s queue.Store) queue.Store {
	var mu sync.Mutex
	return &watched{Store: s, note: func(a act, _ bool) *act {
		line, err := json.Marshal(a)
		if err != nil {
			panic(err) // names and payloads are text
		}
		mu.Lock()
		defer mu.Unlock()
		w.Write(append(line, '\n'))
		return nil
	}}
}
