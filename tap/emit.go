package tap

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/earshot-go/earshot"
)

const mostEmitted = 1 << 20

// serveEmit sends an event for somebody who may.
func (p *Page) serveEmit(w http.ResponseWriter, r *http.Request, a Access) {
	if a&Emit == 0 {
		p.fail(w, r, http.StatusForbidden, "you may not send events", "have tap.Options.Allow give you tap.Emit")
		return
	}
	// A form of another site cannot have this type, whatever the browser knows of origins.
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		p.fail(w, r, http.StatusUnsupportedMediaType, "the event is not declared to be JSON", "send Content-Type: application/json")
		return
	}
	name := r.URL.Query().Get("channel")
	if name == "" || strings.HasPrefix(name, "earshot.") {
		p.fail(w, r, http.StatusBadRequest, "no event can be sent to "+strconv.Quote(name), "name a channel of the program: emit?channel=NAME")
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(writeWithin))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostEmitted))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			p.fail(w, r, http.StatusRequestEntityTooLarge, "the event is too large", fmt.Sprintf("at most %d bytes", mostEmitted))
		} else {
			p.fail(w, r, http.StatusBadRequest, "the event did not arrive whole", "send it again")
		}
		return
	}
	c, found := p.find(name)
	if !found.declared && r.URL.Query().Get("undeclared") != "1" {
		p.fail(w, r, http.StatusNotFound, "there is no declared channel "+strconv.Quote(name), "add undeclared=1 to send there all the same")
		return
	}
	event, err := decode(body, c.Type)
	if err != nil {
		p.fail(w, r, http.StatusBadRequest, "the event is no "+typeName(c.Type)+": "+err.Error(), "the channel's page lists the fields")
		return
	}
	// An owner who lets subscribers block senders has not said that for us.
	if c.MayBlock {
		p.fail(w, r, http.StatusConflict, "subscribers of "+strconv.Quote(name)+" may make senders wait", "such channels take events from the program only")
		return
	}
	if found.name == nil {
		found.name = name
	}
	earshot.SendEvent(p.srv, found.name, event)
	if p.opts.Logger != nil {
		p.opts.Logger.InfoContext(r.Context(), "earshot: event emitted by hand", "channel", name, "type", typeName(c.Type), "bytes", len(body), "remote", r.RemoteAddr)
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(struct {
		Channel   string `json:"channel"`
		Type      string `json:"type"`
		Listeners int    `json:"listeners"`
	}{name, typeName(c.Type), c.Subscribers})
}

type channelName struct {
	name     any
	declared bool
}

// find returns the channel whose name reads like this.
func (p *Page) find(text string) (c earshot.ChannelStats, n channelName) {
	for x := range p.srv.Channels() {
		if earshot.NameText(x.Name) == text {
			c, n = x, channelName{x.Name, x.Declared}
			if _, ok := x.Name.(string); ok {
				break // the one that one would think of
			}
		}
	}
	return c, n
}

func typeName(t reflect.Type) string {
	if t == nil {
		return "JSON"
	}
	return t.String()
}

// decode makes an event of type t, or what JSON itself has if t is nil.
func decode(body []byte, t reflect.Type) (event any, err error) {
	defer func() {
		if e := recover(); e != nil {
			// Not what it panicked with: that could be anything.
			err = fmt.Errorf("a method that decodes it panicked with a %T", e)
		}
	}()
	d := json.NewDecoder(bytes.NewReader(body))
	if t == nil {
		t = reflect.TypeFor[any]()
		d.UseNumber()
	} else {
		if t.Kind() == reflect.Pointer && string(bytes.TrimSpace(body)) == "null" {
			return nil, errors.New("null would be a nil pointer")
		}
		d.DisallowUnknownFields()
	}
	v := reflect.New(t)
	if err := d.Decode(v.Interface()); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("there is more after it, from byte %d on", d.InputOffset())
	}
	event = v.Elem().Interface()
	if t == reflect.TypeFor[json.Number]() {
		return event, nil
	}
	return numbers(event), nil
}

// numbers makes the numbers of untyped JSON what Go programs expect: int64 if they are whole and fit.
func numbers(v any) any {
	switch x := v.(type) {
	case json.Number:
		if n, err := x.Int64(); err == nil {
			return n
		}
		if f, err := x.Float64(); err == nil {
			return f
		}
		return x.String()
	case map[string]any:
		for k := range x {
			x[k] = numbers(x[k])
		}
	case []any:
		for i := range x {
			x[i] = numbers(x[i])
		}
	}
	return v
}
