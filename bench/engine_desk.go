package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/earshot-go/earshot"
	earbus "github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/emitter"
)

// A desk is a side that uses an emitter. It closes the bus too.
type desk struct {
	bus  earbus.Bus // nil: in memory
	e    *emitter.Emitter
	sent int
	ears chan arrival // nil until it listens
}

func newDesk(b earbus.Bus) (*desk, error) {
	d := &desk{bus: b, e: emitter.New(&emitter.Options{Server: earshot.NewServer(nil), Bus: b})}
	wait, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := d.e.Ready(wait); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func encodeSale(n int) ([]byte, error) { return json.Marshal(newSale(n)) }

func (d *desk) rate(n int) (float64, error) {
	before := d.e.Stats().Bus.Published
	begin := time.Now()
	for range n {
		d.sent++
		if err := d.e.Emit(ctx, saleName, newSale(d.sent)); err != nil {
			return 0, err
		}
	}
	if err := d.e.Flush(ctx); err != nil {
		return 0, err
	}
	took := time.Since(begin)
	if s := d.e.Stats(); s.Bus.Published-before != uint64(n) || s.Errors > 0 {
		return 0, fmt.Errorf("emitted %d events, the engine has accepted %d; %d errors, %s", n, s.Bus.Published-before, s.Errors, s.Bus.Reason)
	}
	return float64(took) / float64(n), nil
}

func (d *desk) delays(n int, budget time.Duration) ([]float64, error) {
	if d.ears == nil {
		d.ears = make(chan arrival, 1)
		_, err := d.e.On(saleName, func(_ context.Context, ev emitter.Event) error {
			a := arrival{nanos(), -1}
			var s sale
			if ev.Decode(&s) == nil {
				a.of = s.N
			}
			d.ears <- a
			return nil
		})
		if err == nil {
			wait, cancel := context.WithTimeout(ctx, 10*time.Second)
			defer cancel()
			err = d.e.Ready(wait)
		}
		if err != nil {
			return nil, err
		}
	}
	return delays(n, budget, d.ears, func() (int64, int, error) {
		d.sent++
		s := newSale(d.sent)
		at := nanos()
		return at, s.N, d.e.Emit(ctx, saleName, s)
	})
}

func (d *desk) close() error {
	end, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err := d.e.Close(end)
	if d.bus != nil {
		err = errors.Join(err, d.bus.Close(end))
	}
	return err
}
