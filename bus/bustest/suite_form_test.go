package bustest_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/membus"
	"github.com/earshot-go/earshot/event"
)

var faultsOfForm = []fault{
	{name: "loses the subject", found: []string{"Fidelity"}, spoil: form(func(ev *event.Event) { ev.Subject = "" })},
	{name: "rounds the time", found: []string{"Fidelity"}, spoil: form(func(ev *event.Event) { ev.Time = ev.Time.Truncate(time.Millisecond) })},
	{name: "loses the schema", found: []string{"Fidelity"}, spoil: form(func(ev *event.Event) { ev.DataSchema = "" })},
	{name: "loses the content type", found: []string{"Fidelity"}, spoil: form(func(ev *event.Event) { ev.DataContentType = "" })},
	{name: "loses an extension", found: []string{"Fidelity"}, spoil: form(func(ev *event.Event) { delete(ev.Extensions, "empty"); delete(ev.Extensions, "no") })},
	{name: "makes text of numbers", found: []string{"Fidelity"}, spoil: form(func(ev *event.Event) {
		if n, ok := ev.Extensions["most"]; ok {
			ev.Extensions["most"] = fmt.Sprint(n)
		}
	})},
	{name: "rounds big numbers", found: []string{"Fidelity"}, spoil: form(func(ev *event.Event) {
		if string(ev.Data) == "9007199254740993" {
			ev.Data = []byte("9007199254740992")
		}
	})},
	{name: "makes bytes UTF-8", found: []string{"NonUTF8Data"}, spoil: form(func(ev *event.Event) {
		if ev.Data != nil {
			ev.Data = []byte(strings.ToValidUTF8(string(ev.Data), "\ufffd"))
		}
	})},
	{name: "ends data at a zero", found: []string{"NonUTF8Data", "Fidelity"}, spoil: form(func(ev *event.Event) {
		if before, _, ok := strings.Cut(string(ev.Data), "\x00"); ok {
			ev.Data = []byte(before)
		}
	})},
	{name: "cuts long data", found: []string{"PortableSize", "MaxBytes"}, spoil: form(func(ev *event.Event) {
		if len(ev.Data) > 60<<10 {
			ev.Data = []byte(`"cut"`)
		}
	})},
	{name: "takes no large events", found: []string{"PortableSize"}, opts: membus.Options{MaxBytes: 60 << 10}, spoil: oddly(odd{})},
	{name: "writes names in small letters", found: []string{"OddNames"}, spoil: form(func(ev *event.Event) { ev.Type = strings.ToLower(ev.Type) })},
	{name: "takes odd names for patterns", found: []string{"OddNames"}, spoil: oddly(odd{tail: func(ctx context.Context, b bus.Bus, t bus.Tail) (bus.Feed, error) {
		for _, hint := range t.Hint {
			if strings.Contains(hint, ">") || strings.Contains(hint, " ") {
				t.Hint = []string{"nothing"}
			}
		}
		return b.Tail(ctx, t)
	}})},
}

// form is an engine that changes what it delivers.
func form(change func(ev *event.Event)) func(b bus.Bus) bus.Bus {
	return oddly(odd{next: changed(func(_ *oddFeed, d *bus.Delivery) { change(&d.Event) })})
}
