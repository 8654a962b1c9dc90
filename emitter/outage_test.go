package emitter_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/membus"
	"github.com/earshot-go/earshot/emitter"
	"github.com/stretchr/testify/require"
)

// A witness remembers what it hears of each emitter, in order.
type witness struct {
	e     *emitter.Emitter
	b     *membus.Bus
	heard map[string][]int // by source
	order []string
}

// Several emitters share a stream whose wires are cut, frozen, and cut between an event and its answer, a thousand times
// at random: every event that was emitted is heard by every emitter, once, in the order of its emitter.
func TestThousandOutages(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for _, dedupe := range []bool{false, true} {
		outages := 1000
		if dedupe || testing.Short() {
			outages = 300
		}
		t.Run(fmt.Sprintf("dedupe=%v", dedupe), func(t *testing.T) {
			inBubble(t, func(t *testing.T) { thousandOutages(t, rand.New(rand.NewPCG(seed, 2)), outages, dedupe) })
		})
	}
}

func thousandOutages(t *testing.T, r *rand.Rand, outages int, dedupe bool) {
	const emitters = 4
	all := make([]*witness, emitters)
	for i := range all {
		b := membus.New(&membus.Options{Name: t.Name(), Keep: 1 << 20, Dedupe: dedupe})
		defer b.Close(context.Background())
		w := &witness{b: b, heard: map[string][]int{}}
		w.e = newEmitter(t, emitter.Options{Bus: b, Source: fmt.Sprint("/e", i), Buffer: 50, Queue: 20})
		_, err := w.e.On("a", func(_ context.Context, ev emitter.Event) error {
			n, err := decode[int](ev)
			source := ev.Received.Event.Source
			w.heard[source] = append(w.heard[source], n)
			w.order = append(w.order, fmt.Sprint(source, ":", n))
			return err
		})
		require.NoError(t, err)
		all[i] = w
	}
	for _, w := range all {
		ready(t, w.e)
	}
	done := make(chan int, emitters)
	stop := make(chan struct{})
	for i, w := range all {
		pace := rand.New(rand.NewPCG(r.Uint64(), uint64(i)))
		go func() {
			n := 0
			for ; ; n++ {
				select {
				case <-stop:
					done <- n
					return
				default:
				}
				emit := w.e.Emit
				if pace.IntN(20) == 0 {
					emit = w.e.EmitWait
				}
				if err := emit(context.Background(), "a", n); err != nil {
					done <- -1
					return
				}
				time.Sleep(time.Duration(pace.IntN(80)) * time.Millisecond)
			}
		}()
	}
	for range outages {
		w := all[r.IntN(emitters)]
		d := time.Duration(r.IntN(300)) * time.Millisecond
		switch r.IntN(4) {
		case 0:
			w.b.Fail(bus.ErrDisconnected)
			time.Sleep(d)
			w.b.Fail(nil)
		case 1:
			w.b.FailAnswers(bus.ErrDisconnected)
			time.Sleep(d)
			w.b.FailAnswers(nil)
		case 2:
			w.b.Freeze()
			time.Sleep(d)
			if r.IntN(2) == 0 {
				w.b.Fail(bus.ErrDisconnected)
				time.Sleep(d)
				w.b.Fail(nil)
			}
			w.b.Thaw()
		case 3:
			w.b.FailAnswers(errors.New("internal server error"))
			time.Sleep(d)
			w.b.Fail(bus.ErrDisconnected)
			w.b.FailAnswers(nil)
			time.Sleep(d / 4)
			w.b.Fail(nil)
		}
		time.Sleep(time.Duration(r.IntN(200)) * time.Millisecond)
	}
	close(stop)
	total := 0
	for range all {
		n := <-done
		require.GreaterOrEqual(t, n, 0, "an Emit has failed")
		total += n
	}
	for _, w := range all {
		require.NoError(t, w.e.Flush(within(t, 5*time.Second)))
		require.NoError(t, w.e.Ready(within(t, 5*time.Second)))
	}
	time.Sleep(5 * time.Second)
	synctest.Wait()
	require.Greater(t, total, outages)
	repeated := uint64(0)
	for i, w := range all {
		sum := 0
		for source, list := range w.heard {
			require.Equal(t, upTo(len(list)), list, "emitter %d heard of %s", i, source)
			sum += len(list)
		}
		require.Equal(t, total, sum, "emitter %d", i)
		s := w.e.Stats()
		require.Zero(t, s.Bus.Dropped)
		require.Zero(t, s.Bus.Gaps)
		require.Zero(t, s.Bus.Buffered)
		require.Greater(t, s.Bus.Disconnects, 10)
		repeated += s.Bus.Repeated
		require.Equal(t, all[0].order, w.order, "all hear the same order")
	}
	if !dedupe {
		require.NotZero(t, repeated, "no event came twice: the test is too kind")
	}
	t.Logf("%d events, %d repetitions left out", total, repeated)
}
