package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/earshot-go/earshot/internal/need"
)

// TestMain lets the tests start this program as the other process of a queue.
func TestMain(m *testing.M) {
	if isQueueChild() {
		return
	}
	os.Exit(m.Run())
}

// startQueues starts an engine for a test or benchmark.
func startQueues(t testing.TB, e *queueEngine) *queueServer {
	t.Helper()
	s, err := e.start()
	var missing missingError
	if errors.As(err, &missing) {
		need.Missing(t, missing.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestQueues measures a little of everything on every engine that there is a server for. What is measured counts what it
// gets; so `go test -race` also finds a library that is used wrongly.
func TestQueues(t *testing.T) {
	for i := range queueEngines {
		e := &queueEngines[i]
		t.Run(e.name, func(t *testing.T) {
			s := startQueues(t, e)
			for i, l := range e.libraries() {
				c, err := l.open(s, fmt.Sprintf("rates%d", i))
				if err != nil {
					t.Fatalf("%s: %v", l.name, err)
				}
				for _, what := range queueRates {
					if !l.measures(what) {
						continue
					}
					if ns, err := (&rating{l, c}).measure(what, 10*time.Millisecond); err != nil || ns <= 0 {
						t.Errorf("%s, %s: %v ns for a job, %v", l.name, what, ns, err)
					}
				}
				if err := c.close(); err != nil {
					t.Errorf("%s: close: %v", l.name, err)
				}
			}
			w, err := newWatch(s.url("delays"))
			if err != nil {
				t.Fatal(err)
			}
			for which, what := range []string{lateAtOnce, lateDue, lateOther} {
				if what == lateOther && !e.shared() {
					continue
				}
				if took, err := w.late(which, 10); err != nil || len(took) != 10 || took[0] <= 0 {
					t.Errorf("%s: %v, %v, want 10 times", what, took, err)
				}
			}
			if err := w.close(); err != nil {
				t.Error(err)
			}
			if requests, _, err := idleWorker(s, 50*time.Millisecond); err != nil || requests > 1000 {
				t.Errorf("an idle worker: %v requests in a second, %v", requests, err)
			}
			if !e.full {
				return
			}
			c, err := newCrowded(s.url("crowd"), 1000)
			if err != nil {
				t.Fatal(err)
			}
			if took, err := c.work(crowdDelayed); err != nil || took[0] <= 0 || took[1] <= 0 || took[2] <= 0 {
				t.Errorf("with 1000 items: %v, %v, want three times", took, err)
			}
			if err := c.store.Close(ctx); err != nil {
				t.Error(err)
			}
			if e.name == "SQLite" {
				if ns, err := afterKill(s.url("killed"), 1000); err != nil || ns <= 0 {
					t.Errorf("after kill -9: %v ns, %v", ns, err)
				}
			}
		})
	}
}

// TestRequestsAreCounted has a client say three things to a server behind a meter.
func TestRequestsAreCounted(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() { // ends with the connection
		if c, err := ln.Accept(); err == nil {
			io.Copy(c, c)
			c.Close()
		}
	}()
	m, err := newMeter("redis://" + ln.Addr().String() + "/0")
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	c, err := net.Dial("tcp", m.ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 3 {
		if _, err := io.WriteString(c, "PING\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 6)); err != nil {
			t.Fatal(err)
		}
	}
	if got := m.requests.Load(); got != 3 {
		t.Errorf("requests after 3 of them: %d", got)
	}
}

// A doubtful crew does one job twice.
type doubtful struct{ channelCrew }

func (c *doubtful) work(done func()) (func() error, error) {
	stop, err := c.channelCrew.work(done)
	done()
	return stop, err
}

// TestCyclesAreCounted: a library that does a job twice, or one that was not added, must not get a number.
func TestCyclesAreCounted(t *testing.T) {
	c := &doubtful{channelCrew{make(chan *sale, queueWaiting)}}
	if _, err := cycles(c, time.Millisecond); err == nil {
		t.Error("cycles when one job more is done than was added: got nil, want an error")
	}
}

func BenchmarkQueues(b *testing.B) {
	for i := range queueEngines {
		e := &queueEngines[i]
		b.Run(e.name, func(b *testing.B) {
			s := startQueues(b, e)
			for j, l := range e.libraries() {
				c, err := l.open(s, fmt.Sprintf("bench%d", j))
				if err != nil {
					b.Fatal(err)
				}
				at := &rating{l, c}
				if err := at.warm(); err != nil {
					b.Fatal(err)
				}
				for _, what := range queueRates {
					if !l.measures(what) {
						continue
					}
					b.Run(l.name+"/"+what, func(b *testing.B) {
						for b.Loop() {
							ns, err := at.measure(what, queueEach)
							if err != nil {
								b.Fatal(err)
							}
							b.ReportMetric(ns, "ns/job")
						}
					})
				}
				if err := c.close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
