package earshot_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/earshot-go/earshot"
)

// The server calls a function with one message after the other.
func ExampleChannel_Handle() {
	s := earshot.NewServer(nil)
	defer s.Close()
	uploads := earshot.NewChannel[int](s, "upload.bytes", nil)

	ctx := context.Background()
	total := 0
	ref, err := uploads.Handle(ctx, func(_ context.Context, msg earshot.Message[int]) error {
		total += msg.Event
		return nil
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, n := range []int{300, 1200, 50} {
		uploads.Send(n)
	}
	if err := s.Sync(ctx); err != nil { // all handled
		log.Fatal(err)
	}
	fmt.Println("total:", total)

	if err := s.Unsubscribe(ref); err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening:", uploads.Listening())
	// Output:
	// total: 1550
	// listening: false
}

// A handler that fails is started again, and goes on with the event after the one it failed at. If it
// fails too often it ends, and whoever monitors it learns why.
func ExampleChannel_Handle_restart() {
	s := earshot.NewServer(nil)
	defer s.Close()
	shares := earshot.NewChannel[int](s, "share", nil)

	handle := func(_ context.Context, msg earshot.Message[int]) error {
		fmt.Println("each gets", 60/msg.Event) // panics at 0
		return nil
	}
	ref, err := shares.Handle(context.Background(), handle, &earshot.SpawnOptions{
		Restart: earshot.Restart{Max: 1, Within: time.Minute},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, among := range []int{3, 0, 4, 0, 5} {
		shares.Send(among)
	}

	down := <-s.Monitor(ref)
	fmt.Println("gave up:", errors.Is(down.Reason, earshot.ErrGaveUp))
	var panicked *earshot.PanicError
	if errors.As(down.Reason, &panicked) {
		fmt.Println("last failure:", panicked.Value)
	}
	// Output:
	// each gets 20
	// each gets 15
	// gave up: true
	// last failure: runtime error: integer divide by zero
}

// A producer that works only while somebody listens: it starts with the first subscriber, and its
// context ends with the last.
func ExampleChannel_OnDemand() {
	s := earshot.NewServer(nil)
	defer s.Close()
	load := earshot.NewChannel[float64](s, "system.load", nil)

	stopped := make(chan struct{})
	load.OnDemand(func(ctx context.Context) {
		defer close(stopped)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			load.Send(0.42) // measure, then send
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})

	ctx := context.Background()
	m := earshot.NewMailbox[float64](ctx, s, nil)
	if _, err := load.Subscribe(m); err != nil {
		log.Fatal(err)
	}
	for range 2 {
		msg, err := m.Receive(ctx)
		fmt.Println(msg.Event, err)
	}
	m.Close()
	<-stopped
	fmt.Println("stopped")
	// Output:
	// 0.42 <nil>
	// 0.42 <nil>
	// stopped
}
