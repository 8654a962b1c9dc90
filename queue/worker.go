package queue

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// A worker works on one queue: a goroutine leases as many items as there is room for, and each item has a goroutine of
// its own while it is worked on.
type worker struct {
	q     *Queue
	queue string
	work  Work

	leasing context.Context // ends when no more is to be leased
	stop    context.CancelFunc
	calls   context.Context // of calls of Lease, which end later: what an answer that nobody reads has leased is hidden
	hangUp  context.CancelFunc
	done    chan struct{} // closed when the goroutine that leases has ended
	freed   chan struct{} // has an element when a job has ended since run looked

	mu      sync.Mutex // guards the fields below
	routes  []route
	jobs    map[*job]struct{}
	none    chan struct{}  // closed when there are no jobs any more; nil if nobody waits for that
	beating bool           // the goroutine that extends leases runs
	refused map[string]int // how often an item came that no handler selects, by its ID
}

// A route is a selector and its handler.
type route struct {
	selector Selector
	match    func(string) bool
	handler  Handler
}

func newWorker(q *Queue, queue string, work Work) *worker {
	w := &worker{q: q, queue: queue, work: work, jobs: map[*job]struct{}{}, refused: map[string]int{}, done: make(chan struct{}), freed: make(chan struct{}, 1)}
	w.leasing, w.stop = context.WithCancel(q.ctx)
	w.calls, w.hangUp = context.WithCancel(q.ctx)
	return w
}

// agrees returns an error if a later subscription wants what the first has not; of functions that cannot be told.
func (w *worker) agrees(how []Work) error {
	if len(how) == 0 {
		return nil
	}
	have, want := w.work, how[0].over(w.work)
	if want.Concurrency != have.Concurrency || want.TTL != have.TTL || want.Timeout != have.Timeout {
		return fmt.Errorf("queue: subscribe %q: %w: the first subscription has Concurrency %d, TTL %v and Timeout %v, and this one others",
			w.queue, ErrInvalid, have.Concurrency, have.TTL, have.Timeout)
	}
	return nil
}

// add has a handler get what a selector selects; the same selector again replaces it.
func (w *worker) add(s Selector, match func(string) bool, h Handler) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.routes {
		if w.routes[i].selector == s {
			w.routes[i].handler = h
			return
		}
	}
	w.routes = append(w.routes, route{s, match, h})
}

func (w *worker) handler(name string) Handler {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.routes {
		if r.match(name) {
			return r.handler
		}
	}
	return w.unwanted
}

// unwanted is the handler of items that no handler selects. It may be that one is subscribed in a moment, or that
// another process has one: so they are given back, uncounted, and die only after that has happened often here.
func (w *worker) unwanted(_ context.Context, l Leased) error {
	w.mu.Lock()
	if len(w.refused) >= refusedMost {
		clear(w.refused) // others have dealt with most of them
	}
	w.refused[l.ID]++
	n := w.refused[l.ID]
	if n == DefaultMaxFails {
		delete(w.refused, l.ID)
	}
	w.mu.Unlock()
	if n < DefaultMaxFails {
		return Later(w.work.Backoff(n))
	}
	return Dead(fmt.Errorf("no handler of worker %s selects %q, and it was given back %d times", w.q.opts.Worker, l.Name, n-1))
}

// refusedMost is how many items without a handler a worker remembers.
const refusedMost = 10000

// run leases until the queue is drained.
func (w *worker) run() {
	defer close(w.done)
	for trouble := 0; w.leasing.Err() == nil; {
		n := w.room()
		if n < 1 {
			select {
			case <-w.freed:
			case <-w.leasing.Done():
			}
			continue
		}
		began := time.Now()
		leased, err := w.q.store.Lease(w.calls, LeaseRequest{Queues: []string{w.queue}, Max: n, TTL: w.work.TTL, Worker: w.q.opts.Worker})
		if err != nil && w.leasing.Err() != nil {
			return // drain has hung up, perhaps
		}
		took := time.Since(began)
		switch {
		case err != nil:
			trouble++
			w.q.fault("lease from "+w.queue, err)
			sleep(w.leasing, storeBackoff(trouble))
			continue
		case len(leased) == 0:
			w.q.fine()
			w.wait()
		case w.leasing.Err() != nil:
			w.giveBack(leased)
		case took > w.work.TTL/2:
			// When the leases have begun is not known, and they may be over before one could be extended.
			w.q.fault("lease from "+w.queue, fmt.Errorf("the answer took %v, and the TTL is %v: the items are given back", took, w.work.TTL))
			w.giveBack(leased)
		default:
			w.q.fine()
			w.begin(leased, began)
		}
		trouble = 0
	}
}

// storeBackoff is how long a worker waits after the store has failed n times in a row.
var storeBackoff = Exponential(100*time.Millisecond, 5*time.Second)

// wait returns when there may be something to lease.
func (w *worker) wait() {
	waker, ok := w.q.store.(Waker)
	if !ok {
		sleep(w.leasing, w.q.opts.Poll)
		return
	}
	if err := waker.Wait(w.leasing, []string{w.queue}); err != nil && w.leasing.Err() == nil {
		w.q.fault("wait for "+w.queue, err)
		sleep(w.leasing, w.q.opts.Poll)
	}
}

// room returns for how many more items there is room. Jobs end in groups, as they are settled: a moment for the rest of
// the group makes one call of Lease of what would be two, the second of which would wait for the first.
func (w *worker) room() (n int) {
	for {
		w.mu.Lock()
		before := n
		n = w.work.Concurrency - len(w.jobs)
		w.mu.Unlock()
		if n <= before || n == w.work.Concurrency {
			return n
		}
		runtime.Gosched()
	}
}

// begin starts work on items that were leased after a time.
func (w *worker) begin(leased []Leased, after time.Time) {
	jobs := make([]*job, len(leased))
	w.mu.Lock()
	for i, l := range leased {
		jobs[i] = newJob(w, l, after)
		w.jobs[jobs[i]] = struct{}{}
	}
	if !w.beating && w.q.caps.Extend {
		w.beating = true
		go w.beat() // ends when there are no jobs
	}
	w.mu.Unlock()
	for _, j := range jobs {
		w.q.begun(&j.leased)
		go j.run() // ends with the handler; drain waits for it
	}
}

// end takes a job out.
func (w *worker) end(j *job) {
	w.mu.Lock()
	j.alarm.Stop()
	delete(w.jobs, j)
	if len(w.jobs) == 0 && w.none != nil {
		close(w.none)
		w.none = nil
	}
	w.mu.Unlock()
	select {
	case w.freed <- struct{}{}:
	default:
	}
}

// giveBackFor is how long giveBack waits for a store that does not answer: somebody waits for drain.
const giveBackFor = 5 * time.Second

// giveBack releases items, so that others have them at once, and returns for how many that was done.
func (w *worker) giveBack(leased []Leased) int {
	last := make([]word, len(leased))
	for i, l := range leased {
		last[i] = word{l, l.Release(0), nil, 0}
	}
	return w.lastWords(last)
}

// A word is what is to become of an item.
type word struct {
	leased Leased
	s      Settlement
	err    error // of its handler
	took   time.Duration
}

// lastWords settles items, once, and returns how many.
func (w *worker) lastWords(words []word) (n int) {
	if len(words) == 0 {
		return 0
	}
	all := make([]Settlement, len(words))
	for i := range words {
		all[i] = words[i].s
	}
	ctx, cancel := context.WithTimeout(w.q.ctx, min(w.work.TTL, giveBackFor))
	defer cancel()
	errs, err := w.q.settler.Do(ctx, all)
	if err != nil {
		w.q.fault("give back to "+w.queue, err) // their leases expire
		return 0
	}
	for i := range words {
		if errs[i] == nil {
			n++
			w.q.settled(&words[i].leased, all[i], words[i].err, words[i].took)
		}
	}
	return n
}

// drain ends the work; see Queue.Drain.
func (w *worker) drain(ctx context.Context) error {
	w.stop()
	defer context.AfterFunc(ctx, w.hangUp)()
	<-w.done
	if w.quiet(ctx) {
		return nil
	}
	for _, j := range w.all() {
		j.cancel(errDrained)
	}
	patience, cancel := context.WithTimeout(context.Background(), w.q.opts.Patience)
	defer cancel()
	w.quiet(patience)
	var left []word
	for _, j := range w.all() {
		if j.abandon(errGivenBack) {
			left = append(left, j.lastWord())
		}
	}
	n := w.lastWords(left)
	if len(left) == 0 {
		return fmt.Errorf("queue: drain %s: handlers were cancelled, and have returned: %w", w.queue, context.Cause(ctx))
	}
	return fmt.Errorf("queue: drain %s: of %d items that were left %d were given back or settled; others get the rest when their leases are over: %w",
		w.queue, len(left), n, context.Cause(ctx))
}

// quiet waits until there are no jobs, and reports whether that came before ctx ended.
func (w *worker) quiet(ctx context.Context) bool {
	w.mu.Lock()
	if len(w.jobs) == 0 {
		w.mu.Unlock()
		return true
	}
	if w.none == nil {
		w.none = make(chan struct{})
	}
	none := w.none
	w.mu.Unlock()
	select {
	case <-none: // nothing begins any more
		return true
	case <-ctx.Done():
		return false
	}
}

func (w *worker) all() []*job {
	w.mu.Lock()
	defer w.mu.Unlock()
	jobs := make([]*job, 0, len(w.jobs))
	for j := range w.jobs {
		jobs = append(jobs, j)
	}
	return jobs
}
