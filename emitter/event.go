package emitter

import (
	"encoding/json"
	"fmt"
	"mime"
	"reflect"
	"strings"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

// An Event is what a listener is given.
type Event struct {
	Name string
	// Data is in memory the very value that was emitted. Over a bus it is what is left of one that has been
	// away: a json.RawMessage, or []byte if []byte was emitted. Decode, and On for a type, are the same in
	// both.
	Data any
	// Received is the event as it came over the bus: its ID, source and time, and the Token to go on after it.
	// It is nil in memory, and must not be changed.
	Received *bus.Delivery

	to *audience
}

// Decode stores the data in the value that into points to: by assignment if its type is that of the data (or
// one is a pointer to the other), and else by way of JSON. So it has the same effect in memory, where the data
// may never have been JSON, and over a bus, where it always has; but into an interface, memory stores the very
// value, and a bus what JSON makes of it. Without data, of which an empty []byte is none, it stores the zero value.
// Its errors wrap ErrData.
func (ev Event) Decode(into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return fmt.Errorf("emitter: decode %q into %T: %w: want a pointer", ev.Name, into, ErrData)
	}
	return ev.decode(v.Elem())
}

func (ev Event) decode(to reflect.Value) error {
	if b, ok := ev.Data.([]byte); ev.Data == nil || ok && len(b) == 0 {
		to.SetZero()
		return nil
	}
	raw, isRaw := ev.Data.(json.RawMessage)
	d := reflect.ValueOf(ev.Data)
	switch {
	case isRaw && to.Type() != d.Type(): // also into any, which would take the RawMessage itself
	case d.Type().AssignableTo(to.Type()):
		to.Set(d)
		return nil
	case d.Kind() == reflect.Pointer && !d.IsNil() && d.Type().Elem().AssignableTo(to.Type()):
		to.Set(d.Elem())
		return nil
	case to.Kind() == reflect.Pointer && d.Type().AssignableTo(to.Type().Elem()):
		p := reflect.New(d.Type())
		p.Elem().Set(d)
		to.Set(p)
		return nil
	}
	if !isRaw {
		var err error
		if b, ok := ev.Data.([]byte); ok {
			raw = b
		} else if raw, err = json.Marshal(ev.Data); err != nil {
			return ev.misfit(to, err)
		}
	}
	fresh := reflect.New(to.Type())
	if err := json.Unmarshal(raw, fresh.Interface()); err != nil {
		return ev.misfit(to, err)
	}
	to.Set(fresh.Elem())
	return nil
}

func (ev Event) misfit(to reflect.Value, err error) error {
	return fmt.Errorf("emitter: event %q: data of type %T into %v: %w: %w", ev.Name, ev.Data, to.Type(), ErrData, err)
}

func decodeAs[T any](ev Event) (v T, err error) {
	err = ev.decode(reflect.ValueOf(&v).Elem())
	return v, err
}

const binary = "application/octet-stream"

// encode puts data into an envelope.
func encode(env *event.Event, data any) error {
	switch d := data.(type) {
	case nil:
	case []byte:
		env.DataContentType, env.Data = binary, append([]byte{}, d...)
	default:
		b, err := json.Marshal(data)
		if err != nil {
			return fmt.Errorf("emitter: emit %q: %w: data of type %T has to be encoded as JSON for the bus: %w", env.Type, ErrData, data, err)
		}
		env.Data = b
	}
	return nil
}

// received makes an event of one that came over the bus.
func received(d *bus.Delivery) Event {
	ev := Event{Name: d.Event.Type, Received: d}
	switch {
	case d.Event.Data == nil:
	case isJSON(d.Event.DataContentType):
		ev.Data = json.RawMessage(d.Event.Data)
	default:
		ev.Data = d.Event.Data
	}
	return ev
}

func isJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	t, _, _ := mime.ParseMediaType(contentType)
	return t == "application/json" || t == "text/json" || strings.HasSuffix(t, "+json")
}
