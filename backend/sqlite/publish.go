package sqlite

import (
	"context"
	"errors"
)

// A task is what the writer of a Bus is asked to do.
type task struct {
	rows  []row
	probe bool // is no event, and asks whether one would be accepted
	tail  bool // wants the file and the epoch of the stream

	file  *file  // answers of tail, to be read after done
	epoch string //
}

// A publisher is the worker of a Bus.
type publisher struct {
	bus    *Bus
	file   *file // whose statements insert has
	insert *inserter
	keeper keeper
}

func (p *publisher) mode() openMode {
	return openMode{sync: p.bus.opts.Sync, pages: p.bus.opts.pages, create: createStreams, ready: streamsReady}
}

func (p *publisher) committed(*file, []*request[*task]) { p.bus.bell.ring() }

func (p *publisher) transact(ctx context.Context, f *file, group []*request[*task]) error {
	if p.file != f {
		p.file, p.insert = f, nil
	}
	if onlyTails(group) {
		// A stream that is there can be read even where nothing can be written.
		epoch, err := readEpoch(ctx, f.conn, p.bus.opts.Stream)
		if err != nil || epoch != "" {
			for _, r := range group {
				r.work.file, r.work.epoch = f, epoch
			}
			return err
		}
	}
	err := p.try(ctx, group, false)
	if errors.Is(err, errKnown) {
		err = p.try(ctx, group, true)
	}
	return err
}

func onlyTails(group []*request[*task]) bool {
	for _, r := range group {
		if !r.work.tail {
			return false
		}
	}
	return true
}

// errKnown: some rows are in the stream already.
var errKnown = errors.New("a row is there already")

// try is one transaction. It is quick as long as no row is in the stream already.
func (p *publisher) try(ctx context.Context, group []*request[*task], slowly bool) error {
	if err := p.file.begin(ctx); err != nil {
		return err
	}
	inserted, err := p.fill(group, slowly)
	if err == nil {
		err = p.keeper.prune(p.insert, inserted)
	}
	return p.file.end(err)
}

// fill does what the requests want, within a transaction.
func (p *publisher) fill(group []*request[*task], slowly bool) (inserted int64, err error) {
	epoch, err := p.stream()
	if err != nil {
		return 0, err
	}
	at, err := p.insert.now()
	if err != nil {
		return 0, err
	}
	for _, r := range group {
		switch {
		case r.work.tail:
			r.work.file, r.work.epoch = p.file, epoch
			continue
		case r.work.probe:
			if err := p.tryOut(at); err != nil {
				return 0, err
			}
			continue
		}
		n, err := p.insert.rows(at, r.work.rows, slowly)
		inserted += n
		if err != nil {
			return 0, err
		}
		if n != int64(len(r.work.rows)) && !slowly {
			return 0, errKnown
		}
	}
	return inserted, nil
}

// stream returns the epoch of the stream, within a transaction. It makes the stream if it is not there.
func (p *publisher) stream() (epoch string, err error) {
	stream := p.bus.opts.Stream
	if p.insert != nil {
		epoch, err = scanEpoch(p.insert.epoch.QueryRow(stream, tableOf(stream)))
	} else {
		epoch, err = readEpoch(context.Background(), p.file.conn, stream)
	}
	if err == nil && epoch == "" {
		epoch, err = makeStream(p.file.conn, stream)
	}
	if err == nil && p.insert == nil {
		p.insert, err = newInserter(p.file, tableOf(stream))
	}
	return epoch, err
}

// tryOut inserts a row and takes it back, then writes something that stays: so it meets triggers, a file that must
// not be written, and a disk that is full.
func (p *publisher) tryOut(at int64) error {
	ctx, conn := context.Background(), p.file.conn
	if _, err := conn.ExecContext(ctx, "SAVEPOINT probe"); err != nil {
		return err
	}
	if _, err := p.insert.rows(at, []row{{id: "probe", source: "probe", event: "probe"}}, true); err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, "ROLLBACK TO probe; RELEASE probe"); err != nil {
		return err
	}
	_, err := conn.ExecContext(ctx, "INSERT OR REPLACE INTO earshot_meta (name, value) VALUES ('probed', ?)", at)
	return err
}
