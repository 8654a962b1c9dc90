package main

import (
	"errors"
	"testing"
	"time"

	"github.com/earshot-go/earshot/internal/need"
)

// TestEngines has an emitter and a client carry some events over every engine that there is a server for. Both sides
// count; so `go test -race` also finds a library that is used wrongly.
func TestEngines(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			p, err := newPair(e)
			var missing missingError
			if errors.As(err, &missing) {
				need.Missing(t, missing.Error())
			}
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := p.close(); err != nil {
					t.Error(err)
				}
			}()
			if err := p.warm(600); err != nil {
				t.Fatal(err)
			}
			for name, s := range map[string]side{"emitter": p.ours, "client": p.bare} {
				if ns, err := s.rate(1100); err != nil || ns <= 0 {
					t.Errorf("%s: rate: %v ns for an event, %v", name, ns, err)
				}
			}
			for name, s := range map[string]side{"emitter": p.oursHeard, "client": p.bareHeard} {
				if took, err := s.delays(10, time.Minute); err != nil || len(took) != 10 {
					t.Errorf("%s: delays: %v, %v, want 10 of them", name, took, err)
				}
			}
		})
	}
}

// TestDelaysAreThoseOfTheEventSent: a consumer that hears something else must not get a number.
func TestDelaysAreThoseOfTheEventSent(t *testing.T) {
	ears := make(chan arrival, 1)
	_, err := delays(1, time.Minute, ears, func() (int64, int, error) {
		ears <- arrival{nanos(), 6}
		return nanos(), 7, nil
	})
	if err == nil {
		t.Error("delays when event 7 was sent and 6 heard: got nil, want an error")
	}
}
