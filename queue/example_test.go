package queue_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/earshot-go/earshot/queue"
	"github.com/earshot-go/earshot/queue/memstore"
)

// A new user is welcomed by one queue and counted by another one.
func Example() {
	ctx := context.Background()
	store, err := queue.Open("mem:") // or "sqlite:jobs.db", which outlives the process
	if err != nil {
		panic(err)
	}
	q := queue.New(store, nil)

	welcomed, counted := make(chan string), make(chan string)
	q.Subscribe(ctx, "crm", queue.Name("user.added"), func(ctx context.Context, l queue.Leased) error {
		var user struct{ Name string }
		if err := l.Decode(&user); err != nil {
			return queue.Dead(err) // to try again is of no use
		}
		welcomed <- "welcome, " + user.Name
		return nil
	})
	q.Subscribe(ctx, "metrics", queue.Pattern("user.*"), func(ctx context.Context, l queue.Leased) error {
		counted <- "one more " + l.Name
		return nil
	})

	err = q.Publish(ctx, queue.Event{Name: "user.added", TID: "17", Payload: map[string]string{"Name": "ann"}})
	fmt.Println(err)
	fmt.Println(<-welcomed)
	fmt.Println(<-counted)
	fmt.Println(q.Close(ctx), store.Close(ctx))
	// Output:
	// <nil>
	// welcome, ann
	// one more user.added
	// <nil> <nil>
}

// A handler leads to more work. Were it called again for the same item, it would repeat itself and publish nothing new.
func ExampleQueue_FollowUp() {
	ctx := context.Background()
	q := queue.New(memstore.New(nil), nil)
	defer q.Close(ctx)

	invited := make(chan queue.Leased)
	q.Subscribe(ctx, "mail", queue.Name("user.invited"), func(ctx context.Context, l queue.Leased) error {
		invited <- l
		return nil
	})
	q.Subscribe(ctx, "crm", queue.Name("user.added"), func(ctx context.Context, l queue.Leased) error {
		return q.FollowUp(ctx, l, queue.Event{Name: "user.invited"})
	})

	q.Publish(ctx, queue.Event{ID: "e1", Name: "user.added", TID: "17"})
	l := <-invited
	fmt.Println(l.Name, l.TID, l.Parent == queue.ItemID("e1", "crm"))
	// Output:
	// user.invited 17 true
}

// However often the products change, the index is built anew once in a while.
func ExampleOnceEvery() {
	ctx := context.Background()
	q := queue.New(memstore.New(nil), nil)
	defer q.Close(ctx)

	built := make(chan string)
	q.Subscribe(ctx, "search", queue.Name("index.stale"), func(ctx context.Context, l queue.Leased) error {
		built <- string(l.Payload)
		return nil
	})
	for _, product := range []string{"hat", "coat", "shoe"} {
		q.Publish(ctx, queue.Event{
			Name: "index.stale", TID: "products", Payload: []byte(product + " has changed"),
			Once: queue.OnceEvery(100 * time.Millisecond).Last(),
		})
	}
	fmt.Println(<-built)
	fmt.Println(q.Counts().Begun, "time")
	// Output:
	// shoe has changed
	// 1 time
}

// Each tick is published once, however many processes have the schedule.
func ExampleQueue_Cron() {
	ctx := context.Background()
	store := memstore.New(nil)
	ticks := make(chan queue.Leased)
	for range 3 { // processes
		q := queue.New(store, nil)
		defer q.Close(ctx)
		q.Subscribe(ctx, "reports", queue.Name("report.due"), func(ctx context.Context, l queue.Leased) error {
			ticks <- l
			return nil
		})
		err := q.Cron(queue.Schedule{
			Name: "report", Spec: "@every 1s", // or "TZ=Europe/Berlin 30 8 * * MON-FRI"
			Event: queue.Event{Name: "report.due"},
		})
		if err != nil {
			panic(err)
		}
	}
	at := func(l queue.Leased) time.Time {
		t, _ := time.Parse(time.RFC3339, l.Headers[queue.HeaderTick])
		return t
	}
	first, second := at(<-ticks), at(<-ticks)
	fmt.Println(second.Sub(first))
	// Output:
	// 1s
}

// At the end, handlers get time to end what they do; what they have not done by then is for others.
func ExampleQueue_Drain() {
	ctx := context.Background()
	store := memstore.New(nil)
	q := queue.New(store, nil)
	began := make(chan bool)
	q.Subscribe(ctx, "video", queue.All(), func(ctx context.Context, l queue.Leased) error {
		began <- true
		<-ctx.Done() // it would take hours
		return ctx.Err()
	})
	q.Publish(ctx, queue.Event{Name: "video.uploaded"})
	<-began

	grace, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	err := q.Drain(grace)
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	items, _ := q.Find(ctx, queue.Query{})
	fmt.Println(items[0].State, items[0].Fails)
	fmt.Println(q.Close(ctx))
	// Output:
	// true
	// pending 0
	// <nil>
}
