package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/emitter"
)

// cuts is how often the wire is cut: EARSHOT_CUTS, or few.
func cuts(t testing.TB) int {
	text := os.Getenv("EARSHOT_CUTS")
	if text == "" {
		return 8
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, "EARSHOT_CUTS")
	return n
}

// A heardBook is what one process has heard.
type heardBook struct {
	mu    sync.Mutex
	times map[string]int
	last  map[string]int // newest number by publisher
	mixed int            // numbers that came after a larger one
	gaps  []string
	drops []string
}

func (b *heardBook) note(from string, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.times[fmt.Sprint(from, " ", n)]++
	if n < b.last[from] {
		b.mixed++
	}
	b.last[from] = max(n, b.last[from])
}

type numbered struct {
	From string
	N    int
}

// The wire between three processes and the engine is cut again and again while they emit: each of them hears all that
// was emitted, once, in each publisher's order where the engine keeps it, and nothing is dropped or missing.
func TestCuts(t *testing.T) {
	n := cuts(t)
	onEvery(t, func(t *testing.T, on *engine) {
		if on.wire == nil {
			t.Log("sqlite has no wire")
			return
		}
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d, %d cuts", seed, n)
		rng := rand.New(rand.NewPCG(seed, 1))
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n)*5*time.Second+time.Minute)
		defer cancel()

		var books []*heardBook
		var emitters []*emitter.Emitter
		var ordered bool
		for range 3 {
			b, err := bus.Open(on.url.String())
			require.NoError(t, err)
			srv := earshot.NewServer(nil)
			e := emitter.New(&emitter.Options{Server: srv, Bus: b})
			t.Cleanup(func() {
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				defer cancel()
				require.NoError(t, e.Close(ctx))
				require.NoError(t, b.Close(ctx))
				require.NoError(t, srv.Close())
			})
			book := &heardBook{times: map[string]int{}, last: map[string]int{}}
			_, err = emitter.On(e, "n", func(_ context.Context, d numbered) error { book.note(d.From, d.N); return nil })
			require.NoError(t, err)
			_, err = emitter.On(e, emitter.Gap, func(_ context.Context, g *bus.GapError) error {
				book.mu.Lock()
				defer book.mu.Unlock()
				book.gaps = append(book.gaps, g.Error())
				return nil
			})
			require.NoError(t, err)
			_, err = emitter.On(e, emitter.Drop, func(_ context.Context, d *emitter.Dropped) error {
				book.mu.Lock()
				defer book.mu.Unlock()
				book.drops = append(book.drops, d.Error())
				return nil
			})
			require.NoError(t, err)
			require.NoError(t, e.Ready(ctx))
			ordered = b.Caps().Ordered
			books, emitters = append(books, book), append(emitters, e)
		}

		stop := make(chan struct{})
		var publishers sync.WaitGroup
		sent := make([]int, len(emitters))
		for i, e := range emitters {
			publishers.Go(func() {
				tick := time.NewTicker(10 * time.Millisecond)
				defer tick.Stop()
				for {
					select {
					case <-stop:
						return
					case <-tick.C:
						if e.Stats().Bus.Buffered > 100 { // as fast as the engine is, and not faster
							continue
						}
						sent[i]++
						if err := e.Emit(ctx, "n", numbered{strconv.Itoa(i), sent[i]}); err != nil {
							t.Errorf("emit: %v", err)
							return
						}
					}
				}
			})
		}
		var ready, longest time.Duration
		for range n {
			pause(time.Duration(rng.IntN(30)) * time.Millisecond)
			on.wire.Cut()
			pause(time.Duration(rng.IntN(60)) * time.Millisecond)
			on.wire.Mend()
			start := time.Now()
			for _, e := range emitters {
				require.NoError(t, e.Ready(ctx))
			}
			ready = max(ready, time.Since(start))
			for i, e := range emitters { // a cut that was not noticed yet is no reconnection: something has to come through
				require.NoError(t, e.EmitWait(ctx, "n", numbered{fmt.Sprint("mark", i), 0}))
			}
			longest = max(longest, time.Since(start))
		}
		close(stop)
		publishers.Wait()
		for _, e := range emitters {
			require.NoError(t, e.Flush(ctx))
		}
		total := 0
		for i := range emitters {
			total += sent[i]
		}
		for i, book := range books {
			for who, count := range sent {
				for number := 1; number <= count; number++ {
					key := fmt.Sprint(who, " ", number)
					require.Eventually(t, func() bool { book.mu.Lock(); defer book.mu.Unlock(); return book.times[key] > 0 },
						30*time.Second, 5*time.Millisecond, "process %d has not heard %s", i, key)
					book.mu.Lock()
					times := book.times[key]
					book.mu.Unlock()
					require.Equal(t, 1, times, "process %d has heard %s", i, key)
				}
			}
			book.mu.Lock()
			require.Empty(t, book.gaps)
			require.Empty(t, book.drops)
			if ordered {
				require.Zero(t, book.mixed, "process %d: events out of their publisher's order", i)
			}
			book.mu.Unlock()
		}
		t.Logf("%d events, each heard once by 3 processes; from the wire's return: connected within %v, all three had come through within %v", total, ready, longest)
	})
}

func pause(d time.Duration) { <-time.After(d) }
