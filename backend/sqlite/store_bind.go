package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/earshot-go/earshot/queue"
)

// A binding is a change of the bindings, and the revision after it.
type binding struct {
	add, remove []queue.Binding
	rev         queue.Rev
}

func (s *session) rev() (rev queue.Rev, err error) {
	there, err := s.one("SELECT rev FROM earshot_queue", nil, &rev)
	if err == nil && !there {
		err = fmt.Errorf("%w: the row of earshot_queue is gone", errTables)
	}
	return rev, err
}

func (s *session) bind(b *binding) error {
	wanted := map[queue.Binding]bool{} // what is in both is removed, and was no change if it was not there before
	for _, one := range b.add {
		wanted[one] = true
	}
	for _, one := range b.remove {
		wanted[one] = false
	}
	changed := int64(0)
	for one, there := range wanted {
		query := "DELETE FROM earshot_bindings WHERE queue = ? AND kind = ? AND text = ?"
		if there {
			query = "INSERT INTO earshot_bindings (queue, kind, text) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
		}
		n, err := s.count(query, one.Queue, string(one.Selector.Kind), one.Selector.Text)
		if err != nil {
			return err
		}
		changed += n
	}
	if changed > 0 {
		if _, err := s.exec("UPDATE earshot_queue SET rev = rev + 1"); err != nil {
			return err
		}
	}
	var err error
	b.rev, err = s.rev()
	return err
}

// Bindings returns the bindings. It does not wait for those who write.
func (s *Store) Bindings(ctx context.Context, since queue.Rev) (list []queue.Binding, rev queue.Rev, err error) {
	err = s.look(ctx, "bindings", func(f *file) error {
		list, rev = nil, 0
		// The revision and the bindings are of one moment.
		rows, err := f.read.QueryContext(ctx, `SELECT q.rev, b.queue, b.kind, b.text FROM earshot_queue q
			LEFT JOIN earshot_bindings b ON q.rev <> ? ORDER BY b.queue, b.kind, b.text`, int64(since))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var q, kind, text sql.NullString
			if err := rows.Scan(&rev, &q, &kind, &text); err != nil {
				return err
			}
			if q.Valid {
				list = append(list, queue.Binding{Queue: q.String, Selector: queue.Selector{Kind: queue.Kind(kind.String), Text: text.String}})
			}
		}
		return rows.Err()
	})
	return list, rev, err
}
