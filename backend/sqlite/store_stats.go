package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// Each part is counted in the index that has just the items of that state. What is parked is due.
const selectStats = `
	SELECT queue, sum(ready), sum(delayed), sum(leased), sum(dead), min(oldest) FROM (
		SELECT queue, count(*) FILTER (WHERE due <= ?1) AS ready, count(*) FILTER (WHERE due > ?1) AS delayed, 0 AS leased, 0 AS dead, min(due) FILTER (WHERE due <= ?1) AS oldest
			FROM earshot_items INDEXED BY earshot_items_pending WHERE state = 0 GROUP BY queue
		UNION ALL
		SELECT queue, count(*), 0, 0, 0, min(due) FROM earshot_items INDEXED BY earshot_items_parked WHERE state = 3 GROUP BY queue
		UNION ALL
		SELECT queue, 0, 0, count(*), 0, NULL FROM earshot_items INDEXED BY earshot_items_leased WHERE state = 1 GROUP BY queue
		UNION ALL
		SELECT queue, 0, 0, 0, count(*), NULL FROM earshot_items INDEXED BY earshot_items_dead WHERE state = 2 GROUP BY queue
		UNION ALL
		SELECT DISTINCT queue, 0, 0, 0, 0, NULL FROM earshot_bindings
	) GROUP BY queue ORDER BY queue`

// Stats counts the items. It does not wait for those who write. It reads an entry of an index for each item: a million
// take some tenths of a second.
func (s *Store) Stats(ctx context.Context) (stats queue.Stats, err error) {
	err = s.look(ctx, "stats", func(f *file) error {
		now := time.Now().UnixMicro()
		stats = queue.Stats{Now: timeOf(now)}
		rows, err := f.read.QueryContext(ctx, selectStats, now)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var q queue.QueueStats
			var oldest sql.NullInt64
			if err := rows.Scan(&q.Queue, &q.Ready, &q.Delayed, &q.Leased, &q.Dead, &oldest); err != nil {
				return err
			}
			if oldest.Valid {
				q.OldestReady = timeOf(oldest.Int64)
			}
			stats.Queues = append(stats.Queues, q)
		}
		return rows.Err()
	})
	return stats, err
}
