package emitter_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/membus"
	"github.com/earshot-go/earshot/emitter"
)

type User struct{ Name, Email string }

func sendMail(to, text string) error {
	fmt.Println(to, text)
	return nil
}

// A new user is created here, and welcomed there.
func Example() {
	ctx := context.Background()
	e := emitter.New(nil)

	emitter.On(e, "new-user", func(ctx context.Context, u User) error {
		return sendMail(u.Email, "welcome to our great platform!!!")
	})
	e.Emit(ctx, "new-user", User{"ann", "ann@example.com"})
	e.Emit(ctx, "new-user", User{"bob", "bob@example.com"})

	e.Close(ctx) // waits until the listeners have been called
	// Output:
	// ann@example.com welcome to our great platform!!!
	// bob@example.com welcome to our great platform!!!
}

// The same over a bus. Two emitters stand for two processes; membus is an engine in memory.
func Example_overABus() {
	ctx := context.Background()
	open := func() *emitter.Emitter {
		e, err := emitter.Open("mem:shop", nil)
		if err != nil {
			panic(err)
		}
		return e
	}
	server, mailer := open(), open()

	mailed := make(chan bool)
	emitter.On(mailer, "new-user", func(ctx context.Context, u User) error {
		defer close(mailed)
		return sendMail(u.Email, "welcome to our great platform!!!")
	})
	mailer.Ready(ctx) // what comes before that is not heard

	server.Emit(ctx, "new-user", User{"ann", "ann@example.com"})
	<-mailed
	fmt.Println(server.Close(ctx), mailer.Close(ctx))
	// Output:
	// ann@example.com welcome to our great platform!!!
	// <nil> <nil>
}

// Events wait until the engine is there, and come once however often the connection breaks.
func Example_reconnect() {
	ctx := context.Background()
	b := membus.New(nil)
	b.Fail(bus.ErrDisconnected) // nobody answers
	e := emitter.New(&emitter.Options{Bus: b})

	life := make(chan string)
	for _, name := range []string{emitter.Connect, emitter.Disconnect, emitter.Reconnect} {
		e.On(name, func(context.Context, emitter.Event) error { life <- name; return nil })
	}
	emitter.On(e, "beep", func(_ context.Context, text string) error { life <- text; return nil })
	next := func(n int) {
		for range n {
			fmt.Println(<-life)
		}
	}

	e.Emit(ctx, "beep", "before it was there")
	fmt.Println(e.Stats().Bus.Buffered, "buffered")
	b.Fail(nil)
	next(2)
	b.Fail(bus.ErrDisconnected)
	next(1)
	e.Emit(ctx, "beep", "while it was away")
	b.Fail(nil)
	next(2)
	e.Close(ctx)
	b.Close(ctx)
	// Output:
	// 1 buffered
	// connect
	// before it was there
	// disconnect
	// reconnect
	// while it was away
}

func ExampleEmitter_On() {
	ctx := context.Background()
	e := emitter.New(nil)
	defer e.Close(ctx)

	ref, _ := e.On("beep", func(_ context.Context, ev emitter.Event) error {
		fmt.Println(ev.Name, ev.Data)
		return nil
	})
	e.EmitWait(ctx, "beep", "boop")
	e.Off(ref)
	e.EmitWait(ctx, "beep", "nobody hears that")
	// Output: beep boop
}

func ExampleOn() {
	ctx := context.Background()
	e := emitter.New(nil)
	defer e.Close(ctx)

	e.On(emitter.Error, func(_ context.Context, ev emitter.Event) error {
		fmt.Println("error:", errors.Is(ev.Data.(error), emitter.ErrData))
		return nil
	})
	emitter.On(e, "new-user", func(_ context.Context, u User) error {
		fmt.Println(u.Name)
		return nil
	})
	e.EmitWait(ctx, "new-user", User{Name: "ann"})
	e.EmitWait(ctx, "new-user", &User{Name: "bob"})
	e.EmitWait(ctx, "new-user", map[string]string{"name": "cay"}) // as it would come from elsewhere
	e.Emit(ctx, "new-user", 4711)                                 // no user
	// Output:
	// ann
	// bob
	// cay
	// error: true
}

func ExampleEmitter_Once() {
	ctx := context.Background()
	e := emitter.New(nil)
	defer e.Close(ctx)

	e.Once("beep", func(_ context.Context, ev emitter.Event) error {
		fmt.Println(ev.Data)
		return nil
	})
	e.EmitWait(ctx, "beep", 1)
	e.EmitWait(ctx, "beep", 2)
	fmt.Println(e.ListenerCount("beep"))
	// Output:
	// 1
	// 0
}

func ExampleEmitter_OnAny() {
	ctx := context.Background()
	e := emitter.New(nil)
	defer e.Close(ctx)

	e.OnAny("order.**", func(_ context.Context, ev emitter.Event) error {
		fmt.Println(ev.Name)
		return nil
	})
	e.EmitWait(ctx, "order.paid", nil)
	e.EmitWait(ctx, "order.7.sent", nil)
	e.EmitWait(ctx, "user.added", nil)
	fmt.Println(e.EventNames())
	// Output:
	// order.paid
	// order.7.sent
	// [order.**]
}

func ExampleEmitter_EmitWait() {
	ctx := context.Background()
	e := emitter.New(nil)
	defer e.Close(ctx)

	e.On(emitter.Error, func(context.Context, emitter.Event) error { return nil })
	e.On("beep", func(context.Context, emitter.Event) error { return errors.New("out of order") })
	e.On("beep", func(context.Context, emitter.Event) error { panic("oops") })
	e.On("beep", func(context.Context, emitter.Event) error { fmt.Println("boop"); return nil })

	err := e.EmitWait(ctx, "beep", nil)
	var failed *emitter.ListenerError
	fmt.Println(errors.As(err, &failed), failed.Event, failed.Err)
	// Output:
	// boop
	// true beep out of order
}

// An engine that keeps events can be read, from the beginning or from where one left off.
func ExampleEmitter_Timeline() {
	ctx := context.Background()
	b := membus.New(nil)
	defer b.Close(ctx)
	e := emitter.New(&emitter.Options{Bus: b})
	defer e.Close(ctx)

	for _, name := range []string{"ann", "bob", "cay"} {
		e.Emit(ctx, "new-user", User{Name: name})
	}
	e.Flush(ctx) // until the engine has them

	var second bus.Token
	for ev, err := range e.Timeline(ctx, bus.Start) {
		var u User
		if err != nil || ev.Decode(&u) != nil {
			panic("cannot happen in memory")
		}
		fmt.Println(u.Name)
		if u.Name == "bob" {
			second = ev.Received.Token
		}
	}
	for ev := range e.Timeline(ctx, bus.After(second)) {
		fmt.Printf("after bob: %s\n", ev.Data)
	}
	// Output:
	// ann
	// bob
	// cay
	// after bob: {"Name":"cay","Email":""}
}

// Close says what the engine has not taken.
func ExampleEmitter_Close() {
	b := membus.New(nil)
	b.Fail(bus.ErrDisconnected)
	e := emitter.New(&emitter.Options{Bus: b})
	e.Emit(context.Background(), "beep", "boop")

	ctx, cancel := context.WithCancel(context.Background())
	cancel() // do not wait
	var unsent *emitter.UnsentError
	if errors.As(e.Close(ctx), &unsent) {
		fmt.Println(unsent.Count, unsent.Oldest)
	}
	// Output: 1 beep
}

// What waits for an engine can be given up.
func ExampleEmitter_Discard() {
	ctx := context.Background()
	b := membus.New(nil)
	b.Fail(bus.ErrDisconnected)
	e := emitter.New(&emitter.Options{Bus: b})
	dropped := make(chan any)
	e.On(emitter.Drop, func(_ context.Context, ev emitter.Event) error { dropped <- ev.Data; return nil })
	e.On("beep", func(context.Context, emitter.Event) error { return nil })

	e.Emit(ctx, "beep", 1)
	e.Emit(ctx, "beep", 2)
	fmt.Println(e.Discard())
	fmt.Println(<-dropped)
	e.Close(ctx)
	// Output:
	// 2
	// emitter: 2 events dropped, the first "beep": event dropped: Discard was called
}
