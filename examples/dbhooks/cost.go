package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/earshot-go/earshot"
)

// cost measures operations in three ways, in turn, round after round: what changes in the machine
// meanwhile changes for all of them.
func (d *demo) cost(ctx context.Context, budget time.Duration) error {
	names := make([]string, keys)
	for i := range names {
		names[i] = key(i)
	}
	st := d.store
	var received, missed uint64
	ways := []struct {
		name  string
		round func() (ns float64, err error)
	}{
		{"the store without its hooks", func() (float64, error) { return operate(names, st.get, st.put), nil }},
		{"hooks, nobody listens", func() (float64, error) { return operate(names, st.Get, st.Put), nil }},
		{"hooks and a tap on \"db.**\"", func() (ns float64, err error) {
			m := earshot.NewMailbox[any](ctx, d.srv, nil)
			defer m.Close()
			if _, err := m.SubscribePattern("db.**"); err != nil {
				return 0, err
			}
			var wg sync.WaitGroup
			wg.Go(func() {
				for range m.Messages(ctx) {
				}
			})
			ns = operate(names, st.Get, st.Put)
			err = d.srv.Sync(ctx)
			m.Close()
			wg.Wait()
			x := m.Stats()
			received, missed = received+x.Received, missed+x.Missed
			return ns, err
		}},
	}
	results := make([][]float64, len(ways))
	start := time.Now()
	for n := 0; n < 3 || time.Since(start) < budget; n++ {
		for i := range ways {
			i = (i + n) % len(ways) // nobody always comes after the same one
			ns, err := ways[i].round()
			if err != nil {
				return err
			}
			if n > 0 { // the first round warms up
				results[i] = append(results[i], ns)
			}
		}
	}
	fmt.Fprintf(d.out, "\nWhat the hooks cost, in ns per operation (medians of %d rounds, in turn)\n\n", len(results[0]))
	for i, w := range ways {
		fmt.Fprintf(d.out, "  %-28s %6.0f  %5.2f×\n", w.name, median(results[i]), median(results[i])/median(results[0]))
	}
	fmt.Fprintf(d.out, "\n  The tap received %d events, and was told of %d that it missed.\n", received, missed)
	return nil
}

// operate returns the time of one operation: nine gets to a put.
func operate(names []string, get func(string) (string, bool), put func(string, string)) (ns float64) {
	const n = 20_000
	start := time.Now()
	for i := range n {
		name := names[i*7919%len(names)]
		if i%10 == 0 {
			put(name, "some value")
		} else {
			get(name)
		}
	}
	return float64(time.Since(start).Nanoseconds()) / n
}

func median(xs []float64) float64 {
	s := slices.Sorted(slices.Values(xs))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}
