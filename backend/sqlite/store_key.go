package sqlite

import (
	"database/sql"

	"github.com/earshot-go/earshot/queue"
)

// storeKeyed stores an item that has a key, unless that is held.
func (s *session) storeKeyed(p place) error {
	r := p.row
	*p.to = queue.Enqueued{ID: r.ID, Status: queue.Duplicate}
	if there, err := s.one("SELECT 1 FROM earshot_items WHERE id = ?", []any{r.ID}, new(int)); there || err != nil {
		return err
	}
	if err := s.forgetHolds(); err != nil {
		return err
	}
	var id string
	var seq sql.NullInt64
	var hold int64
	held, err := s.one("SELECT id, seq, hold FROM earshot_keys WHERE queue = ? AND key = ?", []any{r.Queue, r.Key}, &id, &seq, &hold)
	if err != nil {
		return err
	}
	if held && (seq.Valid || hold > s.now) {
		p.to.ID = id
		if r.Replace && seq.Valid {
			return s.replace(p, seq.Int64)
		}
		return nil
	}
	if err := s.insert(longInserts[len(longInserts)-1].query, []place{p}, false); err != nil {
		return err
	}
	until := int64(0)
	if r.Hold > 0 {
		until = s.now + r.Hold.Microseconds()
	}
	_, err = s.exec("INSERT OR REPLACE INTO earshot_keys (queue, key, id, seq, hold) SELECT queue, key, id, seq, ? FROM earshot_items WHERE id = ?", until, r.ID)
	return err
}

// replace gives the item that holds the key what the new one has, if it is pending.
func (s *session) replace(p place, seq int64) error {
	r := p.row
	var old scanned
	var state int64
	there, err := s.one("SELECT "+itemColumns+", state FROM earshot_items WHERE seq = ?", []any{seq}, old.targets(&state)...)
	if err != nil || !there || state != pending && state != parked {
		return err
	}
	payload := r.Payload
	if payload == nil {
		payload = []byte{}
	}
	// The parent is that of the older one.
	old.whole()
	text, err := moreText(old.Parent, r.Headers)
	if err != nil {
		return err
	}
	due := r.dueAt(s.now)
	_, err = s.exec("UPDATE earshot_items SET state = 0, due = ?, more = ?, payload = ?, sum = ? WHERE seq = ?",
		due, text, payload, sumOf(old.ID, old.Queue, old.Name, old.TID, text, payload), seq)
	if err != nil {
		return err
	}
	p.to.Status = queue.Replaced
	s.ring(r.Queue, due)
	return s.unpark(old.Queue, old.Serial) // another one of its serial may be due before it now
}

// freeKey ends that an item holds its key, unless the time for which it is held in any case is not over.
func (s *session) freeKey(queue, key string, seq int64) error {
	if key == "" {
		return nil
	}
	n, err := s.count("DELETE FROM earshot_keys WHERE queue = ? AND key = ? AND seq = ? AND hold <= ?", queue, key, seq, s.now)
	if err == nil && n == 0 {
		_, err = s.exec("UPDATE earshot_keys SET seq = NULL WHERE queue = ? AND key = ? AND seq = ?", queue, key, seq)
	}
	return err
}

const forgetOld = `DELETE FROM earshot_keys WHERE (queue, key) IN
	(SELECT queue, key FROM earshot_keys INDEXED BY earshot_keys_hold WHERE seq IS NULL AND hold <= ? ORDER BY hold LIMIT 20)`

// forgetHolds removes keys that are free because their time is over, some at a time.
func (s *session) forgetHolds() error {
	_, err := s.exec(forgetOld, s.now)
	return err
}
