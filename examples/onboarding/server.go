package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/earshot-go/earshot/queue"
	"github.com/earshot-go/earshot/tap"
)

// A server takes users, and tells what has happened.
type server struct {
	q       *queue.Queue
	numbers *numbers
	page    *tap.Page
}

func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /users/{name}", s.addUser)
	mux.HandleFunc("GET /numbers", s.showNumbers)
	mux.Handle("/debug/earshot/", s.page)
	return mux
}

// addUser answers 201 when it is on the disk that there is a new user: from then on nothing but a mail makes it
// forgotten. What else a real application stores of a user goes into the same transaction with queue.PublishTx.
func (s *server) addUser(w http.ResponseWriter, r *http.Request) {
	u := user{Name: r.PathValue("name"), Email: r.PathValue("name") + "@example.com"}
	err := s.q.Publish(r.Context(), queue.Event{Name: userAdded, TID: u.Name, Payload: u})
	switch {
	case errors.Is(err, queue.ErrInvalid):
		http.Error(w, err.Error(), http.StatusBadRequest)
	case err != nil:
		http.Error(w, "try again later: "+err.Error(), http.StatusServiceUnavailable)
	default:
		w.WriteHeader(http.StatusCreated)
	}
}

func (s *server) showNumbers(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s.numbers.all()) // who asked may have gone
}

// numbers are about the entire system: its queue gets everything, by a regular expression. They count from the start of
// this process.
type numbers struct {
	mu sync.Mutex // guards the field below
	by map[string]int
}

func (n *numbers) start(ctx context.Context, q *queue.Queue) error {
	n.by = map[string]int{}
	return q.Subscribe(ctx, "metrics", queue.Regexp(`^ourapp\.`), func(_ context.Context, l queue.Leased) error {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.by[l.Name]++
		return nil
	})
}

func (n *numbers) all() map[string]int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.by)
}

// serve answers until ctx ends, and then waits for the requests that are under way; closing ends those that would go on
// for ever.
func serve(ctx context.Context, address string, grace time.Duration, h http.Handler, closing func(), log *log.Logger) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	s.RegisterOnShutdown(closing)
	log.Printf("serving http://%s/users/NAME and /numbers, and http://%[1]s/debug/earshot/ to look at", l.Addr())
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }() // ends with Shutdown or Close
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if err := s.Shutdown(ending); err != nil {
		return errors.Join(err, s.Close())
	}
	return nil
}
