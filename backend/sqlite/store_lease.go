package sqlite

import (
	"cmp"
	"database/sql"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/earshot-go/earshot/internal/wake"
	"github.com/earshot-go/earshot/queue"
)

// The priorities that pending items of a queue have, from the highest, by one look into the index for each. To that
// the rows of each priority are joined, in the order in which they are due: the loops run in this order, as CROSS JOIN
// and INDEXED BY want it, and stop at the limit. So it costs the same with a thousand items and a million.
//
// SQLite compiles a statement anew when the value of a bare "LIMIT ?" changes, which took longer than the statement
// itself: 6.1 µs for 1.3. Not so with an expression.
const (
	priorities = `WITH RECURSIVE p (prio) AS (
		SELECT max(prio) FROM earshot_items INDEXED BY earshot_items_pending WHERE state = 0 AND queue = ?
		UNION ALL
		SELECT (SELECT max(prio) FROM earshot_items INDEXED BY earshot_items_pending WHERE state = 0 AND queue = ? AND prio < p.prio) FROM p WHERE p.prio IS NOT NULL
	)`
	selectDue = priorities + `
		SELECT i.seq, i.prio, i.due, i.serial, length(i.payload) FROM p CROSS JOIN earshot_items i INDEXED BY earshot_items_pending
		WHERE i.state = 0 AND i.queue = ? AND i.prio = p.prio AND i.due <= ? LIMIT ?+0`
	selectNext = priorities + `
		SELECT min((SELECT i.due FROM earshot_items i INDEXED BY earshot_items_pending
			WHERE i.state = 0 AND i.queue = ? AND i.prio = p.prio ORDER BY i.due LIMIT 1)) FROM p`
	selectExpiry = "SELECT min(until) FROM earshot_items INDEXED BY earshot_items_leased WHERE state = 1"

	takeItems = "UPDATE earshot_items SET state = 1, until = ?, deliveries = deliveries + 1, worker = ? WHERE seq "
	takeOne   = takeItems + "= ? RETURNING deliveries, fails, " + itemColumns
	takeMany  = takeItems + "IN (SELECT value FROM json_each(?)) RETURNING deliveries, fails, " + itemColumns
)

// leaseAtOnce is how many items one look for candidates is for.
const leaseAtOnce = 4096

// leaseBytes is how many bytes of payload the requests of a group that are alike get at once, unless it is one item:
// they are in memory together. Those that get nothing for that go on in the next transaction; see job.again.
const leaseBytes = 16 << 20

// parkAtOnce is how many items whose serial is busy a transaction parks; see job.again.
const parkAtOnce = 1000

// lease carries out the requests for items of a group. Those that want the same are one.
func (s *session) lease(group []*request[*job]) error {
	var alike [][]*job
	wanted, index := false, map[string]int{}
	for _, r := range group {
		j := r.work
		if j.reap || j.lease != nil {
			wanted = true
		}
		if j.lease == nil {
			continue
		}
		l := j.lease
		k := strings.Join(l.Queues, "\x00") + "\x00\x00" + l.Worker + "\x00" + l.TTL.String()
		i, ok := index[k]
		if !ok {
			i = len(alike)
			index[k], alike = i, append(alike, nil)
		}
		alike[i] = append(alike[i], j)
	}
	if !wanted {
		return nil
	}
	n, err := s.reap()
	if err != nil {
		return err
	}
	for _, r := range group {
		if r.work.reap {
			r.work.n, n = n, 0
		}
	}
	at("reaped")
	for _, jobs := range alike {
		if err := s.leaseAlike(jobs); err != nil {
			return err
		}
	}
	return nil
}

// leaseAlike serves requests that differ in their Max at most, one after the other.
func (s *session) leaseAlike(jobs []*job) error {
	l := jobs[0].lease
	queues := l.Queues
	if len(queues) > 1 {
		queues = slices.Clone(queues)
		slices.Sort(queues)
		queues = slices.Compact(queues)
	}
	total := 0
	for _, j := range jobs {
		j.leased, j.next = nil, 0
		total += min(j.lease.Max, math.MaxInt32)
	}
	until := s.now + l.TTL.Microseconds()
	worker, err := s.clerk.worker(s, l.Worker)
	if err != nil {
		return err
	}
	var all []queue.Leased
	again, room := false, int64(leaseBytes)
	for short, wide, seenAll := false, 0, 0; !short && !again && len(all) < total; {
		if again = seenAll-len(all) >= parkAtOnce; again {
			break
		}
		n := min(total-len(all), leaseAtOnce)
		look := max(n, wide)
		candidates, err := s.due(queues, look)
		if err != nil {
			return err
		}
		seqs, seen, err := s.sift(candidates, n, &room)
		if err != nil {
			return err
		}
		again = seen < len(candidates) && len(seqs) < n // there was no room
		short, seenAll = seen < look, seenAll+seen
		wide = 1000 // some were parked, and many more may have to be
		if all, err = s.takeItems(all, seqs, until, worker); err != nil {
			return err
		}
	}
	next := time.Duration(0)
	if len(all) < total && !again {
		if next, err = s.next(queues); err != nil {
			return err
		}
	}
	for _, j := range jobs {
		n := min(j.lease.Max, len(all))
		j.leased, j.next, j.again = all[:n:n], next, again && n == 0
		all = all[n:]
	}
	return nil
}

// A candidate is an item that is due.
type candidate struct {
	seq, prio, due int64
	size           int64 // of the payload
	queue, serial  string
}

// due returns the first n items of queues that are due, in their order.
func (s *session) due(queues []string, n int) ([]candidate, error) {
	var list []candidate
	for _, q := range queues {
		err := s.each(func(r *sql.Rows) error {
			c := candidate{queue: q}
			err := r.Scan(&c.seq, &c.prio, &c.due, &c.serial, &c.size)
			list = append(list, c)
			return err
		}, selectDue, q, q, q, s.now, n)
		if err != nil {
			return nil, err
		}
	}
	if len(queues) > 1 {
		slices.SortFunc(list, func(a, b candidate) int {
			return cmp.Or(cmp.Compare(b.prio, a.prio), cmp.Compare(a.due, b.due), cmp.Compare(a.seq, b.seq))
		})
	}
	return list[:min(n, len(list))], nil
}

// sift chooses the first n candidates whose serial is not busy, as far as there is room for their payloads, says that
// those of them are, and parks the ones that it has seen before them. It returns how many it has seen.
func (s *session) sift(candidates []candidate, n int, room *int64) (seqs []int64, seen int, err error) {
	serials := map[string][]string{} // by queue
	for _, c := range candidates {
		if c.serial != "" {
			serials[c.queue] = append(serials[c.queue], c.serial)
		}
	}
	busy := map[[2]string]bool{}
	for q, list := range serials {
		slices.Sort(list)
		found, err := s.busy(q, slices.Compact(list))
		if err != nil {
			return nil, 0, err
		}
		for serial := range found {
			busy[[2]string{q, serial}] = true
		}
	}
	var blocked []int64
	for _, c := range candidates {
		if len(seqs) == n {
			break
		}
		fits := c.size <= *room || *room == leaseBytes // the first one always does
		if !fits && (c.serial == "" || !busy[[2]string{c.queue, c.serial}]) {
			break
		}
		seen++
		if c.serial != "" {
			k := [2]string{c.queue, c.serial}
			if busy[k] {
				blocked = append(blocked, c.seq)
				continue
			}
			busy[k] = true
			if _, err := s.seize(c.queue, c.serial, c.seq); err != nil {
				return nil, 0, err
			}
		}
		seqs = append(seqs, c.seq)
		*room -= c.size
	}
	if len(blocked) > 0 {
		err = s.park(blocked)
	}
	return seqs, seen, err
}

// takeItems leases items, and appends them in the order of seqs.
func (s *session) takeItems(to []queue.Leased, seqs []int64, until, worker int64) ([]queue.Leased, error) {
	if len(seqs) == 0 {
		return to, nil
	}
	query, which := takeMany, any(jsonOf(seqs))
	if len(seqs) == 1 {
		query, which = takeOne, seqs[0]
	}
	place := make(map[int64]int, len(seqs))
	for i, seq := range seqs {
		place[seq] = i
	}
	rows := make([]taking, len(seqs))
	err := s.each(func(r *sql.Rows) error {
		var t taking
		err := r.Scan(append([]any{&t.deliveries, &t.fails}, t.targets()...)...)
		rows[place[t.seq]] = t
		return err
	}, query, until, worker, which)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		t := &rows[i]
		switch {
		case t.seq == 0: // not there: an index says what the table does not
			return nil, damaged("?")
		case !t.whole():
			// Nobody should work on it, and the others should not wait for it.
			h := held{seq: t.seq, due: t.due, id: t.ID, queue: t.Queue, key: t.Key, serial: t.Serial}
			if err := s.bury(&h, t.fails, damaged(t.ID).Error()); err != nil {
				return nil, err
			}
			continue
		case t.Key != "" && t.Scope == queue.UntilLeased:
			if err := s.freeKey(t.Queue, t.Key, t.seq); err != nil {
				return nil, err
			}
		}
		to = append(to, queue.Leased{
			Item: t.Item, Receipt: makeReceipt(s.clerk.epoch, t.seq, t.deliveries, &t.Item), Until: timeOf(until),
			Deliveries: int(t.deliveries), Fails: int(t.fails),
		})
	}
	return to, nil
}

// A taking is an item that has just been leased.
type taking struct {
	scanned
	deliveries, fails int64
}

// next returns the time until the first of the pending items of queues is due, or the first lease of any queue ends;
// negative is never.
func (s *session) next(queues []string) (time.Duration, error) {
	first := int64(math.MaxInt64)
	see := func(query string, args ...any) error {
		var at sql.NullInt64
		if _, err := s.one(query, args, &at); err != nil {
			return err
		}
		if at.Valid {
			first = min(first, at.Int64)
		}
		return nil
	}
	for _, q := range queues {
		if err := see(selectNext, q, q, q); err != nil {
			return 0, err
		}
	}
	if err := see(selectExpiry); err != nil {
		return 0, err
	}
	if first == math.MaxInt64 {
		return -1, nil
	}
	return wake.In(first - s.now), nil
}

// worker returns the number of a worker.
func (c *clerk) worker(s *session, name string) (int64, error) {
	if name == "" {
		return noWorker, nil
	}
	if n, ok := c.names[name]; ok {
		return n, nil
	}
	if _, err := s.exec("INSERT INTO earshot_workers (name) VALUES (?) ON CONFLICT (name) DO NOTHING", name); err != nil {
		return 0, err
	}
	var n int64
	if _, err := s.one("SELECT worker FROM earshot_workers WHERE name = ?", []any{name}, &n); err != nil {
		return 0, err
	}
	c.names[name] = n
	return n, nil
}
