package sqlite

import "database/sql"

// A serial is busy while an item of it is leased. Items that are due and whose serial is busy are parked when a lease
// comes across them: they are not in the index of pending items then, so that the next lease does not come across
// them again. When the serial gets free one of them, the first, is pending again.

const unparkFirst = `UPDATE earshot_items SET state = 0 WHERE seq = (
		SELECT seq FROM earshot_items INDEXED BY earshot_items_parked WHERE state = 3 AND queue = ? AND serial = ? ORDER BY prio DESC, due, seq LIMIT 1
	) AND NOT EXISTS (SELECT 1 FROM earshot_serials WHERE queue = ? AND serial = ?)`

// seize says that the serial of an item is busy, and reports whether it was free.
func (s *session) seize(queue, serial string, seq int64) (bool, error) {
	n, err := s.count("INSERT INTO earshot_serials (queue, serial, seq) VALUES (?, ?, ?) ON CONFLICT (queue, serial) DO NOTHING", queue, serial, seq)
	return n == 1, err
}

// freeSerial says that the serial of an item is free.
func (s *session) freeSerial(queue, serial string, seq int64) error {
	if serial == "" {
		return nil
	}
	if _, err := s.exec("DELETE FROM earshot_serials WHERE queue = ? AND serial = ? AND seq = ?", queue, serial, seq); err != nil {
		return err
	}
	return s.unpark(queue, serial)
}

// unpark makes the first of those that are parked for a serial pending, unless the serial is busy.
func (s *session) unpark(queue, serial string) error {
	if serial == "" {
		return nil
	}
	n, err := s.count(unparkFirst, queue, serial, queue, serial)
	if err == nil && n > 0 {
		s.ring(queue, s.now)
	}
	return err
}

// park takes items out of the index of pending ones.
func (s *session) park(seqs []int64) error {
	_, err := s.exec("UPDATE earshot_items SET state = 3 WHERE seq IN (SELECT value FROM json_each(?))", jsonOf(seqs))
	return err
}

// busy returns which of the serials of a queue are busy.
func (s *session) busy(queue string, serials []string) (map[string]bool, error) {
	busy := map[string]bool{}
	text, err := jsonText(serials)
	if err != nil {
		return nil, err
	}
	return busy, s.each(func(r *sql.Rows) error {
		var serial string
		err := r.Scan(&serial)
		busy[serial] = true
		return err
	}, "SELECT serial FROM earshot_serials WHERE queue = ? AND serial IN (SELECT value FROM json_each(?))", queue, text)
}
