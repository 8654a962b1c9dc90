package earshot_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/earshot-go/earshot"
)

// One mailbox, several channels. The Ref that a message carries says by which subscription it came, and
// each subscription can be ended by itself.
func ExampleMailbox() {
	s := earshot.NewServer(nil)
	defer s.Close()
	ctx := context.Background()

	m := earshot.NewMailbox[string](ctx, s, nil)
	defer m.Close()
	errs, err := m.Subscribe("log.error")
	if err != nil {
		log.Fatal(err)
	}
	infos, err := m.Subscribe("log.info")
	if err != nil {
		log.Fatal(err)
	}
	meaning := map[earshot.Ref]string{errs: "ALARM", infos: "note"}

	earshot.SendEvent(s, "log.info", "started")
	earshot.SendEvent(s, "log.error", "disk full")
	for range 2 {
		msg, err := m.Receive(ctx)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %s (%v)\n", meaning[msg.Ref], msg.Event, msg.Ref.Channel())
	}

	if err := m.Unsubscribe(infos); err != nil {
		log.Fatal(err)
	}
	fmt.Println(s.Listening("log.info"), s.Listening("log.error"))
	// Output:
	// note: started (log.info)
	// ALARM: disk full (log.error)
	// false true
}

// Receive waits: for a message, for the end of its context, or for the end of the mailbox.
func ExampleMailbox_Receive() {
	s := earshot.NewServer(nil)
	defer s.Close()
	ctx, cancel := context.WithCancelCause(context.Background())

	m := earshot.NewMailbox[string](ctx, s, nil)
	if _, err := m.Subscribe("greeting"); err != nil {
		log.Fatal(err)
	}
	go func() {
		earshot.SendEvent(s, "greeting", "hello")
	}()
	msg, err := m.Receive(context.Background())
	fmt.Println(msg.Event, err)

	// The context that a mailbox was made with is the life of its subscriber.
	cancel(errors.New("user went home"))
	_, err = m.Receive(context.Background())
	fmt.Println(err)
	// Output:
	// hello <nil>
	// user went home
}

// In a pattern "*" is one segment of a dotted name and a last "**" is one or more. It covers channels
// that do not exist yet, too.
func ExampleMailbox_SubscribePattern() {
	s := earshot.NewServer(nil)
	defer s.Close()

	m := earshot.NewMailbox[any](context.Background(), s, nil)
	defer m.Close()
	if _, err := m.SubscribePattern("db.**"); err != nil {
		log.Fatal(err)
	}
	earshot.SendEvent(s, "db.get", "user/1")
	earshot.SendEvent(s, "db.index.split", 4096)
	earshot.SendEvent(s, "http.get", "/") // does not match

	for name, msg, ok := m.TryReceiveNamed(); ok; name, msg, ok = m.TryReceiveNamed() {
		fmt.Println(name, msg.Event)
	}
	// Output:
	// db.get user/1
	// db.index.split 4096
}

// Ready lets a mailbox take part in a select.
func ExampleMailbox_Ready() {
	s := earshot.NewServer(nil)
	defer s.Close()

	m := earshot.NewMailbox[int](context.Background(), s, nil)
	if _, err := m.Subscribe("count"); err != nil {
		log.Fatal(err)
	}
	go func() {
		for i := range 3 {
			earshot.SendEvent(s, "count", i+1)
		}
	}()

	timeout := time.After(10 * time.Second)
	for sum := 0; sum < 6; {
		select {
		case <-m.Ready():
			for msg, ok := m.TryReceive(); ok; msg, ok = m.TryReceive() {
				sum += msg.Event
				fmt.Println("sum", sum)
			}
		case <-timeout:
			log.Fatal("nothing came")
		}
	}
	// Output:
	// sum 1
	// sum 3
	// sum 6
}

// A loop over the messages goes on until it is left, its context ends, or the mailbox does. Leaving it
// leaves the mailbox as it is.
func ExampleMailbox_Messages() {
	s := earshot.NewServer(nil)
	defer s.Close()
	ctx := context.Background()

	m := earshot.NewMailbox[string](ctx, s, nil)
	if _, err := m.Subscribe("word"); err != nil {
		log.Fatal(err)
	}
	for _, w := range []string{"to", "be", "or", "not"} {
		earshot.SendEvent(s, "word", w)
	}
	for msg := range m.Messages(ctx) {
		fmt.Println(msg.Event)
		if msg.Event == "be" {
			break
		}
	}
	msg, _ := m.TryReceive()
	fmt.Println("and then:", msg.Event)
	// Output:
	// to
	// be
	// and then: or
}

// A tap on many channels, until its context ends. Named tells which of them an event was sent to.
func ExampleMailbox_Named() {
	s := earshot.NewServer(nil)
	defer s.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	m := earshot.NewMailbox[any](ctx, s, nil)
	if _, err := m.SubscribePattern("job.*"); err != nil {
		log.Fatal(err)
	}
	earshot.SendEvent(s, "job.started", 7)
	earshot.SendEvent(s, "job.done", 7)

	for name, msg := range m.Named(ctx) {
		fmt.Println(name, msg.Event)
		if name == "job.done" {
			cancel()
		}
	}
	// Output:
	// job.started 7
	// job.done 7
}

// A mailbox that is full loses events by its policy; senders never wait for it. What is lost is told
// with the next message, and the counters add up.
func ExampleOverflow() {
	s := earshot.NewServer(nil)
	defer s.Close()

	for _, policy := range []earshot.Overflow{earshot.DropOldest, earshot.Latest} {
		m := earshot.NewMailbox[int](context.Background(), s, &earshot.MailboxOptions{
			Capacity: 3,
			Overflow: policy,
		})
		if _, err := m.Subscribe("tick"); err != nil {
			log.Fatal(err)
		}
		for i := range 10 {
			earshot.SendEvent(s, "tick", i+1)
		}
		fmt.Println(policy)
		for msg, ok := m.TryReceive(); ok; msg, ok = m.TryReceive() {
			fmt.Printf("  %d (missed %d)\n", msg.Event, msg.Missed)
		}
		st := m.Stats()
		fmt.Printf("  offered %d = received %d + missed %d\n", st.Offered, st.Received, st.Missed)
		m.Close()
	}
	// Output:
	// drop-oldest
	//   8 (missed 7)
	//   9 (missed 0)
	//   10 (missed 0)
	//   offered 10 = received 3 + missed 7
	// latest
	//   10 (missed 9)
	//   offered 10 = received 1 + missed 9
}

// A subscriber that must not miss anything may rather be ended when it falls behind: it learns that it
// has to start over.
func ExampleOverflow_evict() {
	s := earshot.NewServer(nil)
	defer s.Close()
	ctx := context.Background()

	m := earshot.NewMailbox[int](ctx, s, &earshot.MailboxOptions{Capacity: 2, Overflow: earshot.Evict})
	if _, err := m.Subscribe("tick"); err != nil {
		log.Fatal(err)
	}
	for i := range 3 {
		earshot.SendEvent(s, "tick", i+1)
	}
	_, err := m.Receive(ctx)
	fmt.Println(err)
	// Output:
	// earshot: subscriber too slow
}
