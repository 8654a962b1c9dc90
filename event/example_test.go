package event_test

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/earshot-go/earshot/event"
)

func ExampleEvent() {
	data, _ := json.Marshal(map[string]any{"name": "Ann", "visits": 3})
	e := event.Event{
		ID:      "4711", // in programs event.NewID()
		Source:  "/signup/eu-1",
		Type:    "user.added",
		Subject: "ann",
		Time:    time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC),
		Data:    data,
	}
	e.SetExtension(event.CausationID, "4699")

	text, err := e.AppendJSON(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s\n", text)

	var got event.Event
	if err := got.UnmarshalJSON(text); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s by %s: %s\n", got.Type, got.Extension(event.CausationID), got.Data)

	got.Subject = "ann\n"
	fmt.Println(got.Validate())
	// Output:
	// {"specversion":"1.0","id":"4711","source":"/signup/eu-1","type":"user.added","subject":"ann","time":"2026-11-20T12:00:00Z","causationid":"4699","data":{"name":"Ann","visits":3}}
	// user.added by 4699: {"name":"Ann","visits":3}
	// event: invalid event: subject: control character U+000A at byte 3
}
