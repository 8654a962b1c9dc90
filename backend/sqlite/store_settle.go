package sqlite

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/earshot-go/earshot/queue"
)

const (
	deleteDone = "DELETE FROM earshot_items WHERE seq IN (SELECT value FROM json_each(?)) AND state = 1 AND deliveries = ?"
	selectReap = "SELECT " + heldColumns + `, ifnull((SELECT name FROM earshot_workers w WHERE w.worker = i.worker), '')
		FROM earshot_items i INDEXED BY earshot_items_leased WHERE state = 1 AND until <= ? ORDER BY until LIMIT ?+0`
)

// settle carries out the settlements of a group. Work that is done is most of them: without key and serial, one
// statement removes the items of all calls.
func (s *session) settle(group []*request[*job], carefully bool) error {
	var plain map[int64][]int64 // seqs of what is done, by the number of its deliveries, which nearly always is 1
	for _, r := range group {
		j := r.work
		var seen map[int64]bool
		if len(j.settle) > 1 {
			seen = make(map[int64]bool, len(j.settle))
		}
		for i := range j.settle {
			it := &j.settle[i]
			if j.errs[i] = it.Validate(); j.errs[i] != nil {
				continue
			}
			receipt, ok := readReceipt(s.clerk.epoch, it)
			if !ok {
				j.errs[i] = lost(it)
				continue
			}
			if seen[receipt.seq] && !carefully {
				return errCareful // the order matters
			}
			if seen != nil {
				seen[receipt.seq] = true
			}
			if it.Action == queue.Ack && !receipt.entangled && !carefully {
				if plain == nil {
					plain = map[int64][]int64{}
				}
				plain[receipt.deliveries] = append(plain[receipt.deliveries], receipt.seq)
				continue
			}
			var err error
			if j.errs[i], err = s.settleOne(it, receipt); err != nil {
				return err
			}
		}
	}
	for deliveries, seqs := range plain {
		n, err := s.count(deleteDone, jsonOf(seqs), deliveries)
		if err != nil {
			return err
		}
		if n != int64(len(seqs)) {
			return errCareful // which of them was lost?
		}
	}
	return nil
}

func lost(it *queue.Settlement) error {
	return fmt.Errorf("sqlite: %v of item %.40q: %w: it has expired and was taken back, or was settled before", it.Action, it.ID, queue.ErrLeaseLost)
}

// A held is an item in the hands of a worker.
type held struct {
	seq, due, fails, maxFails int64
	id, queue, key, serial    string
}

const heldColumns = "seq, due, fails, maxfails, id, queue, key, serial"

func (h *held) targets(others ...any) []any {
	return append([]any{&h.seq, &h.due, &h.fails, &h.maxFails, &h.id, &h.queue, &h.key, &h.serial}, others...)
}

// settleOne carries out one settlement. The first error is that of the settlement.
func (s *session) settleOne(it *queue.Settlement, r receipt) (error, error) {
	var h held
	there, err := s.one("SELECT "+heldColumns+" FROM earshot_items WHERE seq = ? AND state = 1 AND deliveries = ?", []any{r.seq, r.deliveries}, h.targets()...)
	if err != nil {
		return nil, err
	}
	if !there {
		return lost(it), nil
	}
	delay := it.Delay.Microseconds()
	switch it.Action {
	case queue.Ack:
		if _, err := s.exec("DELETE FROM earshot_items WHERE seq = ?", h.seq); err != nil {
			return nil, err
		}
		if err := s.freeKey(h.queue, h.key, h.seq); err != nil {
			return nil, err
		}
		return nil, s.freeSerial(h.queue, h.serial, h.seq)
	case queue.Fail:
		due := s.now + delay
		if !it.At.IsZero() {
			due = it.At.UnixMicro()
		}
		return nil, s.fail(&h, due, queue.CutReason(it.Reason))
	case queue.Release:
		due := h.due
		if delay > 0 {
			due = s.now + delay
		}
		if _, err := s.exec("UPDATE earshot_items SET state = 0, due = ?, until = ? WHERE seq = ?", due, noTime, h.seq); err != nil {
			return nil, err
		}
		s.ring(h.queue, due)
		return nil, s.freeSerial(h.queue, h.serial, h.seq)
	case queue.Bury:
		return nil, s.bury(&h, h.fails, queue.CutReason(it.Reason))
	default: // queue.Extend
		_, err := s.exec("UPDATE earshot_items SET until = ? WHERE seq = ?", s.now+it.TTL.Microseconds(), h.seq)
		return nil, err
	}
}

// fail counts one fail more.
func (s *session) fail(h *held, due int64, reason string) error {
	most := h.maxFails
	if most == 0 {
		most = queue.DefaultMaxFails
	}
	if most > 0 && h.fails+1 >= most {
		return s.bury(h, h.fails+1, reason)
	}
	if _, err := s.exec("UPDATE earshot_items SET state = 0, due = ?, until = ?, fails = ?, reason = ? WHERE seq = ?", due, noTime, h.fails+1, reason, h.seq); err != nil {
		return err
	}
	s.ring(h.queue, due)
	return s.freeSerial(h.queue, h.serial, h.seq)
}

func (s *session) bury(h *held, fails int64, reason string) error {
	if _, err := s.exec("UPDATE earshot_items SET state = 2, until = ?, fails = ?, reason = ? WHERE seq = ?", s.now, fails, reason, h.seq); err != nil {
		return err
	}
	if err := s.freeKey(h.queue, h.key, h.seq); err != nil {
		return err
	}
	return s.freeSerial(h.queue, h.serial, h.seq)
}

const reapAtOnce = 1000

// reap takes back items whose lease has expired.
func (s *session) reap() (int, error) {
	type expired struct {
		held
		worker string
	}
	var list []expired
	rows, err := s.query(selectReap, s.now, reapAtOnce)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var e expired
		if err := rows.Scan(e.targets(&e.worker)...); err != nil {
			return 0, err
		}
		list = append(list, e)
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	rows.Close()
	for i := range list {
		reason := "the lease of a worker has expired"
		if w := list[i].worker; w != "" {
			reason = fmt.Sprintf("the lease of worker %q has expired", w)
		}
		if err := s.fail(&list[i].held, list[i].due, reason); err != nil {
			return 0, err
		}
	}
	return len(list), nil
}

// jsonOf writes numbers for json_each: one prepared statement for any number of them, and as quick as a list of
// parameters.
func jsonOf(seqs []int64) string {
	b := make([]byte, 0, 2+8*len(seqs))
	for _, seq := range seqs {
		b = strconv.AppendInt(append(b, ','), seq, 10)
	}
	if len(b) == 0 {
		return "[]"
	}
	b[0] = '['
	return string(append(b, ']'))
}

func jsonText(texts []string) (string, error) {
	b, err := json.Marshal(texts)
	return string(b), err
}

func moreText(parent string, headers map[string]string) (string, error) {
	if parent == "" && len(headers) == 0 {
		return "", nil
	}
	b, err := json.Marshal(more{parent, headers})
	return string(b), err
}
