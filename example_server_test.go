package earshot_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"slices"

	"github.com/earshot-go/earshot"
)

// A monitor tells once that a subscription has ended, and why.
func ExampleServer_Monitor() {
	s := earshot.NewServer(nil)
	defer s.Close()
	orders := earshot.NewChannel[int](s, "order", nil)

	soldOut := errors.New("sold out")
	ref, err := orders.Handle(context.Background(), func(_ context.Context, msg earshot.Message[int]) error {
		if msg.Event > 2 {
			return soldOut
		}
		fmt.Println("order", msg.Event)
		return nil
	}, &earshot.SpawnOptions{Name: "shop"})
	if err != nil {
		log.Fatal(err)
	}
	down := s.Monitor(ref) // may also be asked for later
	for i := range 5 {
		orders.Send(i + 1)
	}

	d := <-down
	fmt.Printf("%s left %v: %v\n", d.Subscriber, d.Channel, d.Reason)
	// Output:
	// order 1
	// order 2
	// shop left order: sold out
}

// A spawned function has a mailbox of its own, which ends when the function does.
func ExampleServer_Spawn() {
	s := earshot.NewServer(nil)
	defer s.Close()

	ready := make(chan struct{})
	p := s.Spawn(context.Background(), func(ctx context.Context, m *earshot.Mailbox[any]) error {
		for _, name := range []string{"add", "done"} {
			if _, err := m.Subscribe(name); err != nil {
				return err
			}
		}
		close(ready)
		sum := 0
		for msg := range m.Messages(ctx) {
			if msg.Ref.Channel() == "done" {
				break
			}
			sum += msg.Event.(int)
		}
		fmt.Println("sum", sum)
		return ctx.Err()
	}, nil)

	<-ready
	earshot.SendEvent(s, "add", 40)
	earshot.SendEvent(s, "add", 2)
	earshot.SendEvent(s, "done", struct{}{})
	<-p.Done()
	fmt.Println(p.Err())
	fmt.Println("listening:", s.Listening("add"))
	// Output:
	// sum 42
	// earshot: mailbox closed
	// listening: false
}

// Sync waits until everything sent before it has been received, which tests like.
func ExampleServer_Sync() {
	s := earshot.NewServer(nil)
	defer s.Close()
	ctx := context.Background()
	words := earshot.NewChannel[string](s, "word", nil)

	var seen []string
	_, err := words.Handle(ctx, func(_ context.Context, msg earshot.Message[string]) error {
		seen = append(seen, msg.Event)
		return nil
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	words.Send("hear")
	words.Send("hear!")
	if err := s.Sync(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println(seen)
	// Output:
	// [hear hear!]
}

// Shutdown lets subscribers finish what was sent, then ends them and waits for them.
func ExampleServer_Shutdown() {
	s := earshot.NewServer(nil)
	mails := earshot.NewChannel[string](s, "mail", nil)

	ctx := context.Background()
	_, err := mails.Handle(ctx, func(_ context.Context, msg earshot.Message[string]) error {
		fmt.Println("sent to", msg.Event)
		return nil
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	mails.Send("ann")
	mails.Send("bob")
	fmt.Println("shut down:", s.Shutdown(ctx)) // a ctx with a deadline bounds the wait

	mails.Send("eve") // nothing happens
	m := earshot.NewMailbox[string](ctx, s, nil)
	_, err = mails.Subscribe(m)
	fmt.Println(errors.Is(err, earshot.ErrServerClosed))
	// Output:
	// sent to ann
	// sent to bob
	// shut down: <nil>
	// true
}

// What can be listened to, and who does. The server's own channels are among them.
func ExampleServer_Channels() {
	s := earshot.NewServer(nil)
	defer s.Close()
	earshot.NewChannel[string](s, "http.request", &earshot.ChannelOptions{Doc: "one event per request"})

	m := earshot.NewMailbox[any](context.Background(), s, nil)
	defer m.Close()
	if _, err := m.Subscribe("job.done"); err != nil { // not declared
		log.Fatal(err)
	}
	earshot.SendEvent(s, "job.done", 7)

	all := slices.SortedFunc(s.Channels(), func(a, b earshot.ChannelStats) int {
		return cmp.Compare(a.Name.(string), b.Name.(string))
	})
	for _, c := range all {
		fmt.Printf("%-17v declared=%-5v live=%-5v sent=%d type=%v\n", c.Name, c.Declared, c.Live, c.Sent, c.Type)
	}
	// Output:
	// earshot.lifecycle declared=true  live=false sent=0 type=earshot.Lifecycle
	// earshot.slow      declared=true  live=false sent=0 type=earshot.Slow
	// http.request      declared=true  live=false sent=0 type=string
	// job.done          declared=false live=true  sent=1 type=<nil>
}

// The server's comings and goings are events as well.
func ExampleServer_Lifecycle() {
	s := earshot.NewServer(nil)
	defer s.Close()
	ctx := context.Background()

	watch := earshot.NewMailbox[earshot.Lifecycle](ctx, s, nil)
	if _, err := s.Lifecycle().Subscribe(watch); err != nil {
		log.Fatal(err)
	}

	m := earshot.NewMailbox[string](ctx, s, &earshot.MailboxOptions{Name: "reader"})
	if _, err := m.Subscribe("news"); err != nil {
		log.Fatal(err)
	}
	m.Close()

	for msg, ok := watch.TryReceive(); ok; msg, ok = watch.TryReceive() {
		e := msg.Event
		switch e.Kind {
		case earshot.Opened, earshot.Closed:
			fmt.Println(e.Channel, e.Kind)
		case earshot.Left:
			fmt.Println(e.Channel, e.Kind, e.Subscriber, e.Reason)
		default:
			fmt.Println(e.Channel, e.Kind, e.Subscriber)
		}
	}
	// Unordered output:
	// news opened
	// news subscribed reader
	// news left reader earshot: mailbox closed
	// news closed
}
