package sqlite

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// A transaction holds this many rows at most, unless one call alone has more. More are hardly faster for each,
	// and all calls that share the transaction wait for the whole of it.
	groupRows  = 4096
	groupBytes = 8 << 20
)

// These are variables for the tests.
var (
	// lockPatience is how long the writer waits for the lock of the file.
	lockPatience = 4 * time.Second
	// callPatience is how long a call waits for the writer.
	callPatience = 5 * time.Second
)

// failpoint is of tests, which kill the process at such places.
var failpoint func(place string)

func at(place string) {
	if failpoint != nil {
		failpoint(place)
	}
}

// A request is something that a writer is asked to do.
type request[W any] struct {
	work        W
	rows, bytes int // what it adds to a transaction

	state atomic.Int32
	done  chan error // has the answer; it never blocks the writer
}

const (
	waiting = iota
	taken
	cancelled
)

func newRequest[W any](work W) *request[W] {
	return &request[W]{work: work, done: make(chan error, 1)}
}

// take reports whether somebody still waits for the answer. It is for the writer.
func (r *request[W]) take() bool { return r.state.CompareAndSwap(waiting, taken) }

// cancel says that nobody waits any more. A request that was taken is carried out all the same.
func (r *request[W]) cancel() { r.state.CompareAndSwap(waiting, cancelled) }

func answer[W any](group []*request[W], err error) {
	at("answer")
	for _, r := range group {
		r.done <- err
	}
}

// A worker knows what requests mean: that of a Bus, or of a Store. The writer calls it.
type worker[W any] interface {
	mode() openMode
	// transact carries requests out in one transaction. If it fails nothing has happened.
	transact(ctx context.Context, f *file, group []*request[W]) error
	// committed is called after a transaction, before its requests are answered.
	committed(f *file, group []*request[W])
}

// A writer is the one goroutine of a Bus or Store that changes the file. Calls that come while it commits wait, and go
// into the next commit together: one fsync for all of them. To let the next transaction begin while the disk is
// at the last one was tried, and is slower: the calls are divided between two commits then, of which each costs a
// whole fsync.
type writer[W any] struct {
	path   string
	words  *words
	worker worker[W]

	ctx      context.Context // of all that is done; ends with close
	cancel   context.CancelFunc
	inFlight atomic.Int64  // calls that are under way
	wake     chan struct{} // tells that there is a request
	running  sync.WaitGroup

	mu      sync.Mutex // guards the fields below
	queue   []*request[W]
	started bool
	closed  bool
	left    func()        // called when everything has ended
	done    chan struct{} // closed after that

	// Those below are of the goroutine.
	file  *file         // nil until something needs it, and after it was given up
	group []*request[W] // of one transaction
	took  time.Duration
}

func newWriter[W any](path string, words *words) *writer[W] {
	w := &writer[W]{path: path, words: words, wake: make(chan struct{}, 1), done: make(chan struct{})}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	return w
}

// start starts the goroutine with the first call that needs it.
func (w *writer[W]) start() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return w.closedError()
	}
	if !w.started {
		w.started = true
		w.running.Go(w.run) // ends with w.ctx; close waits for it
	}
	return nil
}

// ask has the writer do something and waits for its answer.
func (w *writer[W]) ask(ctx context.Context, r *request[W], doing string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	w.inFlight.Add(1)
	defer w.inFlight.Add(-1)
	if err := w.put(r); err != nil {
		return err
	}
	timer := time.NewTimer(callPatience)
	defer timer.Stop()
	select {
	case err := <-r.done:
		if err != nil {
			err = w.explain(doing, err)
		}
		return err
	case <-ctx.Done():
		r.cancel()
		return context.Cause(ctx)
	case <-timer.C:
		r.cancel()
		return w.explain(doing, context.DeadlineExceeded)
	case <-w.ctx.Done():
		return w.closedError()
	}
}

func (w *writer[W]) put(r *request[W]) error {
	w.mu.Lock()
	if !w.started || w.closed {
		w.mu.Unlock()
		if err := w.start(); err != nil {
			return err
		}
		w.mu.Lock()
	}
	w.queue = append(w.queue, r)
	first := len(w.queue) == 1
	w.mu.Unlock()
	if first {
		w.ring()
	}
	return nil
}

func (w *writer[W]) ring() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *writer[W]) explain(doing string, err error) error {
	if w.ctx.Err() != nil {
		return w.closedError()
	}
	return w.words.explain(w.path, doing, err)
}

func (w *writer[W]) closedError() error { return w.words.over(w.path) }

func (w *writer[W]) run() {
	defer func() {
		if w.file != nil {
			w.file.close(w.closedError())
		}
	}()
	for {
		select {
		case <-w.wake:
			w.gather()
			start := time.Now()
			w.serve()
			w.took = time.Since(start)
		case <-w.ctx.Done():
			return
		}
	}
}

// gather takes the requests that wait. The answers to the last commit have just woken those who will call next, and
// inFlight tells how many of them are on the way: without giving them the processor for a moment, every second commit
// would be for a single one of them.
func (w *writer[W]) gather() {
	var deadline time.Time
	for spins := 0; ; spins++ {
		w.mu.Lock()
		n := len(w.queue)
		w.mu.Unlock()
		if spins >= 2 && int64(n) >= w.inFlight.Load() || n >= groupRows {
			break
		}
		if now := time.Now(); deadline.IsZero() {
			deadline = now.Add(min(w.took/4, 500*time.Microsecond))
		} else if now.After(deadline) {
			break
		}
		runtime.Gosched()
	}
	w.group = w.group[:0]
	rows, bytes := 0, 0
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, r := range w.queue {
		if rows += r.rows; rows > groupRows || bytes+r.bytes > groupBytes {
			if len(w.group) > 0 {
				w.queue = append(w.queue[:0], w.queue[i:]...)
				w.ring()
				return
			}
		}
		if bytes += r.bytes; r.take() {
			w.group = append(w.group, r)
		}
	}
	clear(w.queue)
	w.queue = w.queue[:0]
}

// serve carries out the requests of the group.
func (w *writer[W]) serve() {
	if len(w.group) == 0 {
		return
	}
	defer clear(w.group) // the memory of what was answered
	ctx, cancel := context.WithTimeout(w.ctx, lockPatience)
	defer cancel()
	err := w.write(ctx, w.group)
	if refusesRows(err) && len(w.group) > 1 {
		// The fault of one is not that of the others.
		for i := range w.group {
			one := w.group[i : i+1]
			answer(one, w.write(ctx, one))
		}
		return
	}
	answer(w.group, err)
}

// write carries out requests in one transaction, on the file that is at the path now.
func (w *writer[W]) write(ctx context.Context, group []*request[W]) error {
	if err := w.open(ctx); err != nil {
		return err
	}
	err := w.worker.transact(ctx, w.file, group)
	if err == nil && w.file.moved() {
		// What was committed went into a file that nobody finds any more.
		err = errReplaced
	}
	if err == nil {
		w.worker.committed(w.file, group)
		return nil
	}
	select {
	case <-w.file.gone: // another goroutine saw that it moved
		return w.file.why
	default:
	}
	if spoils(err) {
		w.file.close(err)
	}
	return err
}

// open sees to it that the open file is the one at the path.
func (w *writer[W]) open(ctx context.Context) error {
	if w.file != nil {
		if w.file.moved() {
			w.file.close(errReplaced)
		}
		select {
		case <-w.file.gone:
			w.file = nil
		default:
			return nil
		}
	}
	f, err := openFile(ctx, w.path, w.worker.mode())
	if err == nil {
		w.file = f
	}
	return err
}

// close ends all calls, and gives the file back. It waits for the transaction that has begun, or until ctx ends.
func (w *writer[W]) close(ctx context.Context) error {
	w.mu.Lock()
	first := !w.closed
	w.closed = true
	w.mu.Unlock()
	w.cancel()
	if first {
		go func() { // ends when the writer has ended; who calls close waits for it
			w.running.Wait()
			if w.left != nil {
				w.left()
			}
			close(w.done)
		}()
	}
	select {
	case <-w.done:
		return nil
	default:
	}
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
