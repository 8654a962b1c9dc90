package queue_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/queue"
	"github.com/earshot-go/earshot/queue/memstore"
	"github.com/earshot-go/earshot/tap/panel"
)

// table returns the rows of a table of the page, by the keys of their columns.
func table(t *testing.T, v panel.View, name string) (rows []map[string]any) {
	t.Helper()
	for _, tb := range v.Tables {
		if tb.Name != name {
			continue
		}
		for _, r := range tb.Rows {
			require.Len(t, r, len(tb.Columns))
			row := map[string]any{}
			for i, c := range tb.Columns {
				row[c.Key] = r[i]
			}
			rows = append(rows, row)
		}
		return rows
	}
	require.Fail(t, "no table "+name)
	return nil
}

func TestPanel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, store := open(t, &queue.Options{Name: "jobs"})
		p := queue.Panel(q)
		require.Equal(t, "queues", p.Name())
		ctx := t.Context()
		v := p.View(ctx)
		require.Equal(t, panel.OK, v.Status)
		require.Empty(t, table(t, v, "queues"))

		release := make(chan struct{})
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), func(_ context.Context, l queue.Leased) error {
			if l.Name == "bad" {
				return queue.Dead(errors.New("no such user"))
			}
			<-release
			return nil
		}, queue.Work{Concurrency: 1}))
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "bad", TID: "17"}, queue.Event{Name: "slow"}, queue.Event{Name: "waits"}, queue.Event{Name: "waits"}, queue.Event{Name: "later", When: "1 day"}))
		require.NoError(t, q.Bind(ctx, "z", queue.Name("never")))
		time.Sleep(time.Minute)
		v = p.View(ctx)
		require.Equal(t, panel.Warn, v.Status)
		require.Contains(t, v.Summary, "1")
		rows := table(t, v, "queues")
		require.Len(t, rows, 2)
		require.Equal(t, map[string]any{"queue": "q", "channel": "jobs", "engine": "mem", "ready": 2, "delayed": 1, "leased": 1, "dead": 1, "oldest": time.Minute}, rows[0])
		require.Equal(t, map[string]any{"queue": "z", "channel": "jobs", "engine": "mem", "ready": 0, "delayed": 0, "leased": 0, "dead": 0, "oldest": nil}, rows[1])
		dead := table(t, v, "dead")
		require.Len(t, dead, 1)
		require.Equal(t, "no such user", dead[0]["reason"])
		require.Equal(t, "17", dead[0]["tid"])
		here := table(t, v, "work")
		require.Len(t, here, 1)
		require.Equal(t, 1, here[0]["running"])
		require.EqualValues(t, 5, here[0]["published"])
		require.EqualValues(t, 1, here[0]["died"])
		require.Nil(t, here[0]["reason"])
		caps := table(t, v, "stores")
		require.Equal(t, "mem", caps[0]["engine"])
		require.Equal(t, 1<<20, caps[0]["max_bytes"])

		store.Fail(queue.ErrDisconnected)
		v = p.View(ctx)
		require.Equal(t, panel.Bad, v.Status)
		require.Contains(t, table(t, v, "work")[0]["reason"], queue.ErrDisconnected.Error())
		store.Fail(nil)
		store.Freeze()
		begin := time.Now()
		v = p.View(ctx)
		require.LessOrEqual(t, time.Since(begin), 3*time.Second, "who looks does not wait for ever")
		require.Equal(t, panel.Bad, v.Status)
		store.Thaw()
		close(release)
	})
}

// One store that is silent does not make the others look so.
func TestPanelOfSeveral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck, well := memstore.New(nil), memstore.New(nil)
		q1, q2 := over(t, stuck, nil), over(t, well, nil)
		require.NoError(t, q2.Publish(t.Context(), queue.Event{Name: "x", Queue: "q"}))
		stuck.Freeze()
		v := queue.Panel(q1, q2).View(t.Context())
		require.Equal(t, panel.Bad, v.Status)
		require.Contains(t, v.Summary, "1 of 2")
		require.Len(t, table(t, v, "queues"), 1)
		stuck.Thaw()
	})
}

// A store that cannot count is not one that does not answer.
func TestPanelWithoutStats(t *testing.T) {
	q := over(t, bare{memstore.New(nil)}, nil)
	v := queue.Panel(q).View(t.Context())
	require.Equal(t, panel.OK, v.Status)
	require.Contains(t, table(t, v, "work")[0]["reason"], queue.ErrUnsupported.Error())
}
