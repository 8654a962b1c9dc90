package emitter_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/membus"
	"github.com/earshot-go/earshot/emitter"
	"github.com/earshot-go/earshot/tap/panel"
	"github.com/stretchr/testify/require"
)

// row returns the values of one row of a panel's table, by the keys of the columns.
func row(t testing.TB, v panel.View, table string, i int) map[string]any {
	t.Helper()
	for _, tab := range v.Tables {
		if tab.Name != table {
			continue
		}
		require.Greater(t, len(tab.Rows), i, table)
		require.Len(t, tab.Rows[i], len(tab.Columns))
		values := map[string]any{}
		for c, column := range tab.Columns {
			values[column.Key] = tab.Rows[i][c]
		}
		return values
	}
	require.Fail(t, "no such table", table)
	return nil
}

func TestPanelOfAnEmitterInMemory(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		e := newEmitter(t, emitter.Options{Name: "shop"})
		p := emitter.Panel(e)
		require.Equal(t, "emitters", p.Name())
		stop := make(chan struct{})
		place := nextLine()
		e.On("b", func(context.Context, emitter.Event) error { <-stop; return errors.New("oh") })
		e.Once("a", nothing)
		e.OnAny("a.*", nothing)
		emit(t, e, "b", nil)
		emit(t, e, "b", nil)
		synctest.Wait()
		v := p.View(t.Context())
		state := row(t, v, "emitters", 0)
		require.Equal(t, map[string]any{"emitter": "shop", "listeners": 3, "queued": 2, "running": place, "failures": uint64(0), "errors": uint64(0)}, state)
		require.Equal(t, "a", row(t, v, "listeners", 0)["event"])
		require.Equal(t, true, row(t, v, "listeners", 0)["once"])
		require.Equal(t, "a.*", row(t, v, "listeners", 1)["event"])
		require.Equal(t, place, row(t, v, "listeners", 2)["listener"])
		close(stop)
		synctest.Wait()
		s, state := e.Stats(), row(t, p.View(t.Context()), "emitters", 0)
		require.Nil(t, state["running"], "unknown, not empty")
		require.Equal(t, s.Failures, state["failures"])
		require.EqualValues(t, 2, s.Failures)
		require.Equal(t, s.Queued, state["queued"])
		require.Equal(t, panel.OK, v.Status)
	})
}

func TestPanelOfAnEngine(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := membus.New(nil)
		e, other := newEmitter(t, emitter.Options{Bus: b}), newEmitter(t, emitter.Options{Bus: membus.New(&membus.Options{NoReplay: true, MaxBytes: -1})})
		p := emitter.Panel(e, other)
		on(t, e, "a", nothing)
		ready(t, e)
		ready(t, other)
		require.NoError(t, e.EmitWait(t.Context(), "a", nil))
		v := p.View(t.Context())
		require.Equal(t, panel.OK, v.Status)
		require.Equal(t, "Engines that answer: 2 of 2.", v.Summary)
		require.Equal(t, true, row(t, v, "capabilities", 0)["replay"])
		require.Equal(t, 1<<20, row(t, v, "capabilities", 0)["max_bytes"])
		require.Equal(t, false, row(t, v, "capabilities", 1)["replay"])
		require.Nil(t, row(t, v, "capabilities", 1)["max_bytes"])
		b.Fail(fmt.Errorf("wire cut: %w", bus.ErrDisconnected))
		emit(t, e, "a", nil)
		time.Sleep(time.Second)
		v = p.View(t.Context())
		require.Equal(t, panel.Bad, v.Status)
		require.Contains(t, v.Summary, "1 of 2")
		s := e.Stats().Bus
		engine := row(t, v, "engines", 0)
		require.Equal(t, s.Engine, engine["engine"])
		require.Equal(t, false, engine["up"])
		require.Equal(t, s.Since, engine["since"])
		require.Equal(t, false, engine["listening"])
		require.Equal(t, 1, engine["disconnects"])
		require.Equal(t, 1, engine["buffered"])
		require.Equal(t, s.BufferedBytes, engine["bytes"])
		require.Equal(t, uint64(1), engine["published"])
		require.Contains(t, engine["reason"], "wire cut")
		require.Equal(t, true, row(t, v, "engines", 1)["up"])
		synctest.Wait()
		require.Equal(t, 1, e.Discard())
		require.Equal(t, uint64(1), row(t, p.View(t.Context()), "engines", 0)["dropped"])
	})
}

// A secret is one that calls itself by a URL, as engines do.
type secretive struct{ bus.Bus }

func (secretive) String() string { return bus.Redact("redis://bob:hidden@10.0.0.1/?password=hidden") }

func TestPanelShowsNoSecrets(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWire(nil)
		w.onPublish(nil)
		e := newEmitter(t, emitter.Options{Bus: secretive{w}})
		on(t, e, "a", nothing)
		ready(t, e)
		text, err := json.Marshal(emitter.Panel(e).View(t.Context()))
		require.NoError(t, err)
		require.Contains(t, string(text), "redis://bob:xxxxx@10.0.0.1")
		require.NotContains(t, string(text), "hidden")
	})
}

// Every row fits its columns, names of metrics are unique, and an empty panel says what to do.
func TestPanelIsWellFormed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		metrics := map[string]bool{}
		e := newEmitter(t, emitter.Options{Bus: membus.New(nil)})
		for _, p := range []panel.Panel{emitter.Panel(), emitter.Panel(e, newEmitter(t, emitter.Options{}))} {
			clear(metrics)
			for _, tab := range p.View(t.Context()).Tables {
				for _, r := range tab.Rows {
					require.Len(t, r, len(tab.Columns), tab.Name)
				}
				for _, c := range tab.Columns {
					if c.Metric == "" {
						continue
					}
					require.False(t, metrics[c.Metric], c.Metric)
					metrics[c.Metric] = true
					require.Equal(t, c.Counter, strings.HasSuffix(c.Metric, "_total"), c.Metric)
				}
			}
		}
		require.NotEmpty(t, metrics)
	})
}

// Lag is the time from the emit to the arrival.
func TestLag(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := membus.New(nil)
		e := newEmitter(t, emitter.Options{Bus: b})
		on(t, e, "a", nothing)
		ready(t, e)
		b.Freeze()
		emit(t, e, "a", nil)
		time.Sleep(3 * time.Second)
		b.Thaw()
		synctest.Wait()
		require.Equal(t, 3*time.Second, e.Stats().Bus.Lag)
		require.Equal(t, 3*time.Second, row(t, emitter.Panel(e).View(t.Context()), "engines", 0)["lag"])
	})
}
