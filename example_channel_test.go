package earshot_test

import (
	"context"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/earshot-go/earshot"
)

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

// Where losing an event is worse than waiting, the channel's owner can let subscribers slow the senders
// down. SendContext bounds the wait.
func ExampleChannel_SendContext() {
	s := earshot.NewServer(nil)
	defer s.Close()
	jobs := earshot.NewChannel[string](s, "job", &earshot.ChannelOptions{MayBlock: true})

	m := earshot.NewMailbox[string](context.Background(), s, &earshot.MailboxOptions{
		Capacity: 1,
		Overflow: earshot.Block,
	})
	if _, err := jobs.Subscribe(m); err != nil {
		log.Fatal(err)
	}
	jobs.Send("first")

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	fmt.Println(jobs.SendContext(ctx, "second")) // Send would wait until somebody receives
	// Output:
	// context deadline exceeded
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
