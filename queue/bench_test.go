package queue_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/earshot-go/earshot/queue"
	"github.com/earshot-go/earshot/queue/memstore"
)

// split shares the iterations out to goroutines.
func split(b *testing.B, goroutines int, f func()) {
	var all sync.WaitGroup
	for g := range goroutines {
		n := b.N / goroutines
		if g < b.N%goroutines {
			n++
		}
		all.Go(func() {
			for range n {
				f()
			}
		})
	}
	all.Wait()
}

// BenchmarkPublish is the way of an event into the queue of a store in memory.
func BenchmarkPublish(b *testing.B) {
	for _, goroutines := range []int{1, 64} {
		b.Run(fmt.Sprint("goroutines=", goroutines), func(b *testing.B) {
			store := memstore.New(nil)
			q := queue.New(store, nil)
			ctx := context.Background()
			defer q.Close(ctx)
			if err := q.Bind(ctx, "q", queue.Name("x")); err != nil {
				b.Fatal(err)
			}
			payload := make([]byte, 100)
			b.ReportAllocs()
			b.ResetTimer()
			split(b, goroutines, func() {
				if err := q.Publish(ctx, queue.Event{Name: "x", Payload: payload}); err != nil {
					b.Error(err)
				}
			})
		})
	}
}

// BenchmarkCycle is publish, lease, handler and acknowledgement, with 16 handlers at a time, up to the last of them; and
// beside it a channel with 16 goroutines, which forgets everything.
func BenchmarkCycle(b *testing.B) {
	payload := make([]byte, 100)
	for _, goroutines := range []int{1, 64} {
		b.Run(fmt.Sprint("queue/goroutines=", goroutines), func(b *testing.B) {
			q := queue.New(memstore.New(nil), nil)
			ctx := context.Background()
			defer q.Close(ctx)
			var done sync.WaitGroup
			done.Add(b.N)
			err := q.Subscribe(ctx, "q", queue.Name("x"), func(context.Context, queue.Leased) error {
				done.Done()
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			split(b, goroutines, func() {
				if err := q.Publish(ctx, queue.Event{Name: "x", Payload: payload}); err != nil {
					b.Error(err)
				}
			})
			done.Wait()
		})
		b.Run(fmt.Sprint("channel/goroutines=", goroutines), func(b *testing.B) {
			c := make(chan []byte, 64)
			var done sync.WaitGroup
			done.Add(b.N)
			for range 16 {
				go func() {
					for range c {
						done.Done()
					}
				}()
			}
			b.ReportAllocs()
			b.ResetTimer()
			split(b, goroutines, func() { c <- append([]byte(nil), payload...) })
			done.Wait()
			close(c)
		})
	}
}
