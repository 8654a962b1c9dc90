package earshot_test

import (
	"context"
	"fmt"
	"log"

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
