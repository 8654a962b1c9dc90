package earshot_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/earshot-go/earshot"
)

func Example() {
	type Order struct {
		ID    int
		Total float64
	}
	s := earshot.NewServer(nil)
	defer s.Close()
	paid := earshot.NewChannel[Order](s, "order.paid", &earshot.ChannelOptions{
		Doc: "one event per order, when its money has arrived",
	})

	paid.Send(Order{ID: 1, Total: 9.50}) // nobody listens: one atomic load

	ctx := context.Background()
	m := earshot.NewMailbox[Order](ctx, s, nil)
	if _, err := paid.Subscribe(m); err != nil {
		log.Fatal(err)
	}
	paid.Send(Order{ID: 2, Total: 19.90})

	msg, err := m.Receive(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("order %d: %.2f\n", msg.Event.ID, msg.Event.Total)

	m.Close()
	fmt.Println("listening:", paid.Listening())
	// Output:
	// order 2: 19.90
	// listening: false
}

// A name needs no declaration. It can be any comparable value, such as one that says whose events these
// are; a mailbox for any takes whatever is sent to it.
func ExampleSendEvent() {
	type session struct{ user string }
	s := earshot.NewServer(nil)
	defer s.Close()

	m := earshot.NewMailbox[any](context.Background(), s, nil)
	if _, err := m.Subscribe(session{"ann"}); err != nil {
		log.Fatal(err)
	}
	earshot.SendEvent(s, session{"ann"}, "logged in")
	earshot.SendEvent(s, session{"bob"}, "logged in") // nobody listens
	earshot.SendEvent(s, session{"ann"}, 42)

	for msg, ok := m.TryReceive(); ok; msg, ok = m.TryReceive() {
		fmt.Printf("%v: %v\n", msg.Ref.Channel(), msg.Event)
	}
	// Output:
	// {ann}: logged in
	// {ann}: 42
}

// A name has one event type. Declaring it again gives the same channel; another type is a mistake in
// the program.
func ExampleNewChannel() {
	s := earshot.NewServer(nil)
	defer s.Close()
	a := earshot.NewChannel[string](s, "log.line", &earshot.ChannelOptions{Doc: "what was logged"})
	b := earshot.NewChannel[string](s, "log.line", nil)
	fmt.Println("same channel:", a == b)

	defer func() { fmt.Println(recover()) }()
	earshot.NewChannel[[]byte](s, "log.line", nil)
	// Output:
	// same channel: true
	// earshot: NewChannel log.line: declared for events of type string, now for []uint8
}

// All subscribers of a channel see the same events in the same order.
func ExampleChannel_Send() {
	s := earshot.NewServer(nil)
	defer s.Close()
	price := earshot.NewChannel[float64](s, "price", nil)

	ctx := context.Background()
	var boxes [2]*earshot.Mailbox[float64]
	for i := range boxes {
		boxes[i] = earshot.NewMailbox[float64](ctx, s, nil)
		if _, err := price.Subscribe(boxes[i]); err != nil {
			log.Fatal(err)
		}
	}
	price.Send(9.99)
	price.Send(10.49)

	for i, m := range boxes {
		for msg, ok := m.TryReceive(); ok; msg, ok = m.TryReceive() {
			fmt.Printf("mailbox %d: event %d: %.2f\n", i, msg.Seq, msg.Event)
		}
	}
	// Output:
	// mailbox 0: event 1: 9.99
	// mailbox 0: event 2: 10.49
	// mailbox 1: event 1: 9.99
	// mailbox 1: event 2: 10.49
}

// An event that is costly to make is made only for those who listen.
func ExampleChannel_SendFunc() {
	s := earshot.NewServer(nil)
	defer s.Close()
	dumps := earshot.NewChannel[string](s, "debug.dump", nil)

	dump := func() string {
		fmt.Println("making a dump")
		return strings.Repeat("state ", 3)
	}
	dumps.SendFunc(dump) // nobody listens: dump is not called

	m := earshot.NewMailbox[string](context.Background(), s, nil)
	if _, err := dumps.Subscribe(m); err != nil {
		log.Fatal(err)
	}
	dumps.SendFunc(dump)

	msg, _ := m.TryReceive()
	fmt.Println(msg.Event)
	// Output:
	// making a dump
	// state state state
}

// The shortest way to listen. Leaving the loop, or the end of its context, unsubscribes.
func ExampleChannel_Events() {
	s := earshot.NewServer(nil)
	defer s.Close()
	steps := earshot.NewChannel[string](s, "deploy.step", nil)
	steps.OnDemand(func(context.Context) { // begins when the loop does
		for _, step := range []string{"build", "test", "upload", "restart"} {
			steps.Send(step)
		}
	})

	for step := range steps.Events(context.Background()) {
		fmt.Println(step)
		if step == "upload" {
			break
		}
	}
	fmt.Println("listening:", steps.Listening())
	// Output:
	// build
	// test
	// upload
	// listening: false
}

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

// The newest events can be kept for those who come later: the current state, say.
func ExampleChannelOptions_replay() {
	s := earshot.NewServer(nil)
	defer s.Close()
	state := earshot.NewChannel[string](s, "door.state", &earshot.ChannelOptions{Replay: 1})

	state.Send("open")
	state.Send("closed")

	m := earshot.NewMailbox[string](context.Background(), s, nil)
	if _, err := state.Subscribe(m); err != nil {
		log.Fatal(err)
	}
	state.Send("locked")
	for msg, ok := m.TryReceive(); ok; msg, ok = m.TryReceive() {
		fmt.Println(msg.Seq, msg.Event)
	}
	// Output:
	// 2 closed
	// 3 locked
}
