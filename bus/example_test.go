package bus_test

import (
	"context"
	"fmt"
	"io"

	"github.com/earshot-go/earshot/bus"
	_ "github.com/earshot-go/earshot/bus/membus" // knows mem:
	"github.com/earshot-go/earshot/event"
)

// A URL says which engine it is, and the import which engines there are.
func ExampleOpen() {
	ctx := context.Background()
	b, err := bus.Open("mem:")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close(ctx)

	b.Publish(ctx,
		event.Event{ID: "1", Source: "/shop", Type: "order.paid", Data: []byte(`{"total": 12}`)},
		event.Event{ID: "2", Source: "/shop", Type: "order.sent"},
	)

	feed, err := b.Tail(ctx, bus.Tail{From: bus.Start, Past: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer feed.Close()
	for {
		d, err := feed.Next(ctx)
		if err == io.EOF {
			break
		} else if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(d.Event.ID, d.Event.Type, string(d.Event.Data))
	}
	// Output:
	// 1 order.paid {"total":12}
	// 2 order.sent
}
