package sqlite

import (
	"context"
	"errors"
	"runtime"
	"time"
)

const (
	// A transaction holds this many rows at most. More are hardly faster for each, and all calls that share the
	// transaction wait for the whole of it.
	groupRows  = 4096
	groupBytes = 8 << 20
)

// A writer is the one goroutine of a Bus that changes the file. Calls that come while it commits wait in a queue,
// and go into the next commit together: one fsync for all of them.
type writer struct {
	bus    *Bus
	file   *file // nil until something needs it, and after it was given up
	insert *inserter
	keeper keeper
	group  []*request // of one transaction
	took   time.Duration
}

func (b *Bus) writeAll() {
	w := &writer{bus: b, keeper: keeper{opts: &b.opts}}
	defer func() {
		if w.file != nil {
			w.file.close(b.closedError())
		}
	}()
	for {
		select {
		case r := <-b.requests:
			w.gather(r)
			start := time.Now()
			w.serve()
			w.took = time.Since(start)
		case <-b.ctx.Done():
			return
		}
	}
}

// gather takes what waits besides the first request. The answers to the last commit have just woken those who will
// publish next, and inFlight tells how much they have on the way: without giving them the processor for a moment,
// every second commit would be for a single one of them.
func (w *writer) gather(first *request) {
	w.group = w.group[:0]
	rows, bytes := 0, 0
	add := func(r *request) {
		if r.take() {
			w.group = append(w.group, r)
			rows += len(r.rows)
			for _, row := range r.rows {
				bytes += len(row.event)
			}
		}
	}
	add(first)
	var deadline time.Time
	for spins := 0; rows < groupRows && bytes < groupBytes; spins++ {
		select {
		case r := <-w.bus.requests:
			add(r)
			continue
		default:
		}
		if spins >= 2 && int64(rows) >= w.bus.inFlight.Load() {
			return
		}
		if now := time.Now(); deadline.IsZero() {
			deadline = now.Add(min(w.took/4, 500*time.Microsecond))
		} else if now.After(deadline) {
			return
		}
		runtime.Gosched()
	}
}

// serve carries out the requests of the group.
func (w *writer) serve() {
	if len(w.group) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(w.bus.ctx, lockPatience)
	defer cancel()
	err := w.write(ctx, w.group)
	if err == nil {
		w.bus.bell.ring()
		answer(w.group, nil)
		return
	}
	if refusesRows(err) && len(w.group) > 1 {
		// The fault of one is not that of the others.
		for i := range w.group {
			one := w.group[i : i+1]
			answer(one, w.explain(w.write(ctx, one)))
		}
		w.bus.bell.ring()
		return
	}
	answer(w.group, w.explain(err))
}

func (w *writer) explain(err error) error {
	if err != nil && w.bus.ctx.Err() != nil {
		return w.bus.closedError()
	}
	return explain(w.bus.path, "publish", err)
}

// write carries out requests in one transaction, on the file that is at the path now.
func (w *writer) write(ctx context.Context, group []*request) error {
	if err := w.open(ctx); err != nil {
		return err
	}
	err := w.transact(ctx, group)
	if err == nil && w.file.moved() {
		// What was committed went into a file that nobody finds any more.
		err = errReplaced
	}
	if err == nil {
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
func (w *writer) open(ctx context.Context) error {
	if w.file != nil {
		if w.file.moved() {
			w.file.close(errReplaced)
		}
		select {
		case <-w.file.gone:
			w.file, w.insert = nil, nil
		default:
			return nil
		}
	}
	f, err := openFile(ctx, w.bus.path, openMode{sync: w.bus.opts.Sync, pages: w.bus.opts.pages, create: createStreams})
	if err != nil {
		return err
	}
	w.file, w.insert = f, nil
	return nil
}

func (w *writer) transact(ctx context.Context, group []*request) error {
	if onlyTails(group) {
		// A stream that is there can be read even where nothing can be written.
		epoch, err := readEpoch(ctx, w.file.conn, w.bus.opts.Stream)
		if err != nil || epoch != "" {
			for _, r := range group {
				r.file, r.epoch = w.file, epoch
			}
			return err
		}
	}
	err := w.try(ctx, group, false)
	if errors.Is(err, errKnown) {
		err = w.try(ctx, group, true)
	}
	return err
}

func onlyTails(group []*request) bool {
	for _, r := range group {
		if !r.tail {
			return false
		}
	}
	return true
}

// errKnown: some rows are in the stream already.
var errKnown = errors.New("a row is there already")

// try is one transaction. It is quick as long as no row is in the stream already.
func (w *writer) try(ctx context.Context, group []*request, slowly bool) error {
	if err := w.file.begin(ctx); err != nil {
		return err
	}
	inserted, err := w.fill(group, slowly)
	if err == nil {
		err = w.keeper.prune(w.insert, inserted)
	}
	return w.file.end(err)
}

// fill does what the requests want, within a transaction.
func (w *writer) fill(group []*request, slowly bool) (inserted int64, err error) {
	epoch, err := w.stream()
	if err != nil {
		return 0, err
	}
	at, err := w.insert.now()
	if err != nil {
		return 0, err
	}
	for _, r := range group {
		switch {
		case r.tail:
			r.file, r.epoch = w.file, epoch
			continue
		case r.probe:
			if err := w.tryOut(at); err != nil {
				return 0, err
			}
			continue
		}
		n, err := w.insert.rows(at, r.rows, slowly)
		inserted += n
		if err != nil {
			return 0, err
		}
		if n != int64(len(r.rows)) && !slowly {
			return 0, errKnown
		}
	}
	return inserted, nil
}

// stream returns the epoch of the stream, within a transaction. It makes the stream if it is not there.
func (w *writer) stream() (epoch string, err error) {
	stream := w.bus.opts.Stream
	if w.insert != nil {
		epoch, err = scanEpoch(w.insert.epoch.QueryRow(stream, tableOf(stream)))
	} else {
		epoch, err = readEpoch(context.Background(), w.file.conn, stream)
	}
	if err == nil && epoch == "" {
		epoch, err = makeStream(w.file.conn, stream)
	}
	if err == nil && w.insert == nil {
		w.insert, err = newInserter(w.file, tableOf(stream))
	}
	return epoch, err
}

// tryOut inserts a row and takes it back, then writes something that stays: so it meets triggers, a file that must
// not be written, and a disk that is full.
func (w *writer) tryOut(at int64) error {
	ctx, conn := context.Background(), w.file.conn
	if _, err := conn.ExecContext(ctx, "SAVEPOINT probe"); err != nil {
		return err
	}
	if _, err := w.insert.rows(at, []row{{id: "probe", source: "probe", event: "probe"}}, true); err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, "ROLLBACK TO probe; RELEASE probe"); err != nil {
		return err
	}
	_, err := conn.ExecContext(ctx, "INSERT OR REPLACE INTO earshot_meta (name, value) VALUES ('probed', ?)", at)
	return err
}
