package sqlite

import (
	"database/sql"
	"fmt"
	"strings"

	"github.com/earshot-go/earshot/queue"
)

// Statements that insert as many rows as there are: prepared for these numbers, of which the widest is used first. The
// short ones are for items that leave most columns empty, and take half of the time for each: most of it goes into
// handing values over. A batch as JSON, taken apart by json_each, was tried, and takes twice as long.
var (
	shortInserts = insertsOf("id, queue, due, created, sum, name, tid, payload")
	longInserts  = insertsOf("id, queue, due, created, sum, name, tid, payload, prio, maxfails, key, scope, serial, more")
)

const insertOne = "INSERT INTO earshot_items "

type insertion struct {
	rows  int
	query string
}

func insertsOf(columns string) (list []insertion) {
	values := ", (?" + strings.Repeat(", ?", strings.Count(columns, ",")) + ")"
	for _, n := range widths {
		list = append(list, insertion{n, insertOne + "(" + columns + ") VALUES " + strings.Repeat(values, n)[2:] + " ON CONFLICT (id) DO NOTHING"})
	}
	return list
}

// A place is a row that was not stored yet, and where to tell what became of it.
type place struct {
	row *itemRow
	to  *queue.Enqueued
}

// enqueue stores the items of a group.
func (s *session) enqueue(group []*request[*job]) error {
	var places []place
	var rev queue.Rev
	for _, r := range group {
		j := r.work
		if j.rev != nil {
			if rev == 0 {
				var err error
				if rev, err = s.rev(); err != nil {
					return err
				}
			}
			if rev != *j.rev {
				j.err = fmt.Errorf("sqlite: enqueue: %w: they are at revision %d, and not %d", queue.ErrStaleBindings, rev, *j.rev)
				continue
			}
			j.err = nil
		}
		for i := range j.rows {
			places = append(places, place{&j.rows[i], &j.enqueued[i]})
		}
	}
	return s.store(places)
}

// store stores rows in their order: those without a key many at a time.
func (s *session) store(places []place) error {
	for len(places) > 0 {
		if places[0].row.Key != "" {
			if err := s.storeKeyed(places[0]); err != nil {
				return err
			}
			places = places[1:]
			continue
		}
		n, short := 0, places[0].row.plain()
		for n < len(places) && places[n].row.Key == "" && places[n].row.plain() == short {
			n++
		}
		list := longInserts
		if short {
			list = shortInserts
		}
		for _, in := range list {
			for ; n >= in.rows; n -= in.rows {
				if err := s.insert(in.query, places[:in.rows], short); err != nil {
					return err
				}
				places = places[in.rows:]
			}
		}
	}
	return nil
}

// insert stores rows with one statement, and finds out what became of each.
func (s *session) insert(query string, places []place, short bool) error {
	var args []any
	if s.clerk != nil {
		args = s.clerk.room[:0]
		defer func() { clear(args); s.clerk.room = args }()
	}
	for _, p := range places {
		r := p.row
		payload := r.Payload
		if payload == nil {
			payload = []byte{}
		}
		args = append(args, r.ID, r.Queue, r.dueAt(s.now), s.now, r.sum, r.Name, r.TID, payload)
		if !short {
			args = append(args, int64(r.Priority), r.maxFails(), r.Key, int64(r.Scope), r.Serial, r.more)
		}
	}
	result, err := s.exec(query, args...)
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err != nil {
		return err
	}
	var fresh map[string]bool // nil: all
	if n != int64(len(places)) {
		if fresh, err = s.newest(n); err != nil {
			return err
		}
	}
	for _, p := range places {
		*p.to = queue.Enqueued{ID: p.row.ID}
		if fresh != nil && !fresh[p.row.ID] {
			p.to.Status = queue.Duplicate
			continue
		}
		delete(fresh, p.row.ID) // a second one of that ID is a duplicate
		s.ring(p.row.Queue, p.row.dueAt(s.now))
	}
	return nil
}

// newest returns the IDs of the n items that were stored last: within a transaction nobody else stores any.
func (s *session) newest(n int64) (map[string]bool, error) {
	ids := map[string]bool{}
	if n == 0 {
		return ids, nil
	}
	return ids, s.each(func(r *sql.Rows) error {
		var id string
		err := r.Scan(&id)
		ids[id] = true
		return err
	}, "SELECT id FROM earshot_items ORDER BY seq DESC LIMIT ?+0", n)
}
