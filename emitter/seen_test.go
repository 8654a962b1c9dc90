package emitter_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/earshot-go/earshot/bus/membus"
	"github.com/earshot-go/earshot/emitter"
	"github.com/earshot-go/earshot/event"
	"github.com/stretchr/testify/require"
)

// A copy is recognised after tens of thousands of others, by its source and ID together.
func TestCopiesAreRecognised(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := membus.New(&membus.Options{Keep: 1 << 20})
		e := newEmitter(t, emitter.Options{Bus: b})
		heard := map[string]int{}
		on(t, e, "a", func(_ context.Context, ev emitter.Event) error {
			heard[ev.Received.Event.Source+ev.Received.Event.ID]++
			return nil
		})
		ready(t, e)
		publish := func(source, id string) {
			require.NoError(t, b.Publish(t.Context(), event.Event{ID: id, Source: source, Type: "a"}))
		}
		publish("/x", "1")
		publish("/y", "1")
		publish("/x", "2")
		for i := range 40_000 {
			publish("/many", fmt.Sprint(i))
		}
		publish("/x", "1")
		publish("/y", "1")
		publish("/x", "2")
		synctest.Wait()
		require.Len(t, heard, 40_003)
		for id, n := range heard {
			require.Equal(t, 1, n, id)
		}
		require.EqualValues(t, 3, e.Stats().Bus.Repeated)
	})
}
