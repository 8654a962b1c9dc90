package storetest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/earshot-go/earshot/queue"
	"github.com/earshot-go/earshot/queue/memstore"
	"github.com/earshot-go/earshot/queue/storetest"
)

func init() { storetest.OpenWire = openWire }

// A wireServer has a store in memory, which outlives its connections.
type wireServer struct {
	store *memstore.Store
	addr  string
	jobs  sync.WaitGroup

	mu    sync.Mutex // guards the fields below
	ln    net.Listener
	conns map[net.Conn]struct{}
}

// wireEngine is a new server, whose clients are made by spoil if there is one.
func wireEngine(spoil func(s *wireStore) queue.Store) func(t testing.TB) storetest.Engine {
	return func(t testing.TB) storetest.Engine {
		s := &wireServer{store: memstore.New(&memstore.Options{MaxBytes: wireBytes}), addr: "127.0.0.1:0", conns: map[net.Conn]struct{}{}}
		if err := s.start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			s.kill()
			s.store.Close(context.Background())
			s.jobs.Wait()
		})
		open := func(addr string) queue.Store {
			c := newWireStore(addr)
			if spoil == nil {
				return c
			}
			return spoil(c)
		}
		return storetest.Engine{
			Open: func(_ testing.TB, via string) queue.Store {
				if via == "" {
					via = s.addr
				}
				return open(via)
			},
			Server: s.addr,
			URL:    "wire://" + s.addr,
			Restart: func(t testing.TB) {
				s.kill()
				for end := time.Now().Add(10 * time.Second); s.start() != nil; <-time.After(time.Millisecond) {
					if time.Now().After(end) {
						t.Fatal("the port of the server is not to be had again")
					}
				}
			},
			Break: func(testing.TB) (mend func()) {
				s.store.Fail(fmt.Errorf("%w: no room is left", queue.ErrFull))
				return func() { s.store.Fail(nil) }
			},
			Deny: func(testing.TB) queue.Store {
				c := newWireStore(s.addr)
				c.password = "wr0ng-secret"
				if spoil != nil {
					return spoil(c)
				}
				return c
			},
			Begin: beginInMemory,
			Skew: func(t testing.TB) queue.Store {
				s := memstore.New(nil)
				t.Cleanup(func() { s.Close(context.Background()) })
				return skewed(s, 2*time.Hour)
			},
		}
	}
}

func (s *wireServer) start() error {
	ln, err := net.Listen("tcp", s.addr)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ln, s.addr = ln, ln.Addr().String()
	s.jobs.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			if s.ln == ln {
				s.conns[c] = struct{}{}
				s.jobs.Go(func() { s.serve(c) })
			} else {
				c.Close()
			}
			s.mu.Unlock()
		}
	})
	return nil
}

// kill ends all connections, and takes no more.
func (s *wireServer) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ln != nil {
		s.ln.Close()
		s.ln = nil
	}
	for c := range s.conns {
		c.Close()
	}
}

func (s *wireServer) serve(c net.Conn) {
	defer func() {
		c.Close()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
	lines := bufio.NewReader(c)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var r request
		if err := json.Unmarshal(line, &r); err != nil {
			return
		}
		a := failure(fmt.Errorf("%w: wrong password", queue.ErrDenied))
		if r.Password == "" {
			a = s.do(r)
		}
		text, err := json.Marshal(a)
		if err != nil {
			return
		}
		if _, err := c.Write(append(text, '\n')); err != nil {
			return
		}
	}
}

func (s *wireServer) do(r request) (a answer) {
	limit := 300 * time.Millisecond
	if r.Method == "Wait" {
		limit = time.Second
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var err error
	switch r.Method {
	case "Enqueue":
		a.Enqueued, err = s.store.Enqueue(ctx, r.Items)
	case "EnqueueAt":
		a.Enqueued, err = s.store.EnqueueAt(ctx, r.Rev, r.Items)
	case "Lease":
		a.Leased, err = s.store.Lease(ctx, r.Lease)
	case "Settle":
		var errs []error
		errs, err = s.store.Settle(ctx, r.Settle)
		for _, one := range errs {
			a.Settled = append(a.Settled, failure(one))
		}
	case "Bind":
		a.Rev, err = s.store.Bind(ctx, r.Add, r.Remove)
	case "Bindings":
		a.Bindings, a.Rev, err = s.store.Bindings(ctx, r.Rev)
	case "Find":
		a.Records, err = s.store.Find(ctx, r.Query)
	case "Remove":
		a.N, err = s.store.Remove(ctx, r.Query)
	case "Redrive":
		a.N, err = s.store.Redrive(ctx, r.Query)
	case "Stats":
		a.Stats, err = s.store.Stats(ctx)
	case "Now":
		a.Now, err = s.store.Now(ctx)
	case "Reap":
		a.N, err = s.store.Reap(ctx)
	case "Wait":
		if err = s.store.Wait(ctx, r.Queues); ctx.Err() != nil {
			err = nil // for that long nothing has come: it is allowed to be early
		}
	}
	if err != nil {
		return failure(err)
	}
	return a
}

// beginInMemory is a transaction that keeps its items until it is committed.
func beginInMemory(_ testing.TB, s queue.Store) storetest.Tx {
	var kept []queue.Item
	return storetest.Tx{
		Enqueue: func(ctx context.Context, items []queue.Item) (got []queue.Enqueued, err error) {
			for i := range items {
				if err := items[i].Validate(s.Caps().MaxBytes); err != nil {
					return nil, err
				}
			}
			for _, it := range items {
				there, err := s.(queue.Finder).Find(ctx, queue.Query{ID: it.ID})
				if err != nil {
					return nil, err
				}
				for _, k := range kept {
					if k.ID == it.ID {
						there = append(there, queue.Record{})
					}
				}
				one := queue.Enqueued{ID: it.ID}
				if len(there) > 0 {
					one.Status = queue.Duplicate
				} else {
					kept = append(kept, it)
				}
				got = append(got, one)
			}
			return got, nil
		},
		Commit: func() error {
			_, err := s.Enqueue(context.Background(), kept)
			return err
		},
		Rollback: func() error { return nil },
	}
}

func TestWire(t *testing.T) { storetest.Run(t, wireEngine(nil)) }

func TestWireFaults(t *testing.T) { storetest.Faults(t, wireEngine(nil)) }
