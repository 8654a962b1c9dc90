package main

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	cloud "github.com/earshot-go/earshot/event"
)

// A sale is the data of the events that go over engines: 200 bytes of JSON.
type sale struct {
	N        int    `json:"n"`
	Order    string `json:"order"`
	Customer string `json:"customer"`
	Cents    int    `json:"cents"`
	Note     string `json:"note"`
}

const (
	saleName   = "order.paid"
	saleSource = "/emitter/4f1c0a2b" // as an emitter makes them
	saleNote   = "leave it at the door, or with the neighbours on the second floor, who are at home most of the time"
)

func newSale(n int) *sale {
	return &sale{n, "2026-11-000417", "ada@example.org", 1995, saleNote}
}

// A side publishes, and measures how long it takes.
type side interface {
	// rate returns the nanoseconds for one of n events, until the engine has accepted the last of them.
	rate(n int) (float64, error)
	// delays returns up to n times from just before an event is sent until it is heard, in nanoseconds.
	delays(n int, budget time.Duration) ([]float64, error)
	close() error
}

// A pair is an emitter and a client on one server. Each side has one stream for rates, to which nobody listens, and
// one for latencies.
type pair struct {
	at                               station
	ours, oursHeard, bare, bareHeard side
}

func newPair(e engine) (p *pair, err error) {
	p = &pair{}
	if p.at, err = e.open(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("%s: %w", e.name, err), p.close())
		}
	}()
	for _, to := range []struct {
		side   *side
		stream string
		bare   bool
	}{
		{&p.ours, "rate_ours", false}, {&p.bare, "rate_bare", true},
		{&p.oursHeard, "delay_ours", false}, {&p.bareHeard, "delay_bare", true},
	} {
		if to.bare {
			c, err := p.at.client(to.stream)
			if err != nil {
				return p, err
			}
			*to.side = &till{client: c}
			continue
		}
		b, err := p.at.bus(to.stream)
		if err != nil {
			return p, err
		}
		d, err := newDesk(b)
		if err != nil {
			return p, err
		}
		*to.side = d
	}
	return p, nil
}

// warm publishes and hears some events before anything is measured: connections open, files reach their size, and the
// servers that compile have compiled.
func (p *pair) warm(n int) error {
	for _, s := range []side{p.ours, p.bare} {
		if _, err := s.rate(n); err != nil {
			return err
		}
	}
	for _, s := range []side{p.oursHeard, p.bareHeard} {
		if _, err := s.delays(20, time.Second); err != nil {
			return err
		}
	}
	return nil
}

func (p *pair) close() error {
	var errs []error
	for _, s := range []side{p.ours, p.oursHeard, p.bare, p.bareHeard} {
		if s != nil {
			errs = append(errs, s.close())
		}
	}
	return errors.Join(append(errs, p.at.close())...)
}

// A till is a side that uses a client.
type till struct {
	client
	n    int
	ears chan arrival // nil until it listens
}

// arrival is an event that was heard.
type arrival struct {
	at int64
	of int // the sale; -1 if it is another one
}

func newText(n int) []byte {
	data, err := encodeSale(n)
	if err != nil {
		panic(err)
	}
	ev := cloud.Event{ID: cloud.NewID(), Source: saleSource, Type: saleName, Time: time.Now(), Data: data}
	text, err := ev.AppendJSON(nil)
	if err != nil {
		panic(err)
	}
	return text
}

func (t *till) rate(n int) (float64, error) {
	texts := make([][]byte, n)
	for i := range texts {
		t.n++
		texts[i] = newText(t.n)
	}
	begin := time.Now()
	err := t.publish(texts)
	return float64(time.Since(begin)) / float64(n), err
}

func (t *till) delays(n int, budget time.Duration) ([]float64, error) {
	if t.ears == nil {
		t.ears = make(chan arrival, 1)
		err := t.listen(func(at int64, text []byte) {
			a := arrival{at, -1}
			if i := bytes.Index(text, []byte(`{"n":`)); i >= 0 {
				fmt.Sscanf(string(text[i:]), `{"n":%d,`, &a.of)
			}
			t.ears <- a
		})
		if err != nil {
			return nil, err
		}
	}
	return delays(n, budget, t.ears, func() (int64, int, error) {
		t.n++
		text := newText(t.n)
		at := nanos()
		return at, t.n, t.send(text)
	})
}

// delays sends events one by one, each some moments after the one before has been heard.
func delays(n int, budget time.Duration, ears <-chan arrival, send func() (at int64, of int, err error)) ([]float64, error) {
	took := make([]float64, 0, n)
	late := time.NewTimer(time.Minute)
	defer late.Stop()
	for begin := time.Now(); len(took) < n && time.Since(begin) < budget; {
		time.Sleep(200 * time.Microsecond) // so that the consumer and the server are at rest
		late.Reset(10 * time.Second)
		at, of, err := send()
		if err != nil {
			return nil, err
		}
		select {
		case a := <-ears:
			if a.of != of {
				return nil, fmt.Errorf("sent event %d, heard %d", of, a.of)
			}
			took = append(took, float64(a.at-at))
		case <-late.C:
			return nil, fmt.Errorf("event %d was not heard within 10 s", of)
		}
	}
	return took, nil
}
