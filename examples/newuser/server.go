package main

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"sync"
	"time"

	"github.com/earshot-go/earshot/emitter"
)

// A userServer creates users. It does not know who cares.
type userServer struct {
	events *emitter.Emitter

	mu    sync.Mutex // guards the field below
	users map[string]User
}

func newUserServer(e *emitter.Emitter) *userServer {
	return &userServer{events: e, users: map[string]User{}}
}

func (s *userServer) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /users/{name}/new", s.create)
	return mux
}

var usable = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

const patience = 5 * time.Second // with an engine that is away and a buffer that is full

func (s *userServer) create(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if !usable.MatchString(name) {
		http.Error(w, "a name is a small letter and up to 31 small letters, digits, - or _", http.StatusBadRequest)
		return
	}
	user := User{Name: name, Email: name + "@example.com", Created: time.Now().UTC()}
	if !s.add(user) {
		http.Error(w, "there is a user of that name", http.StatusConflict)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	if err := s.events.Emit(ctx, NewUser, user); err != nil {
		s.remove(user)
		w.Header().Set("Retry-After", "5")
		http.Error(w, "not now: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	json.NewEncoder(w).Encode(user)
}

func (s *userServer) add(u User) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.users[u.Name]; there {
		return false
	}
	s.users[u.Name] = u
	return true
}

func (s *userServer) remove(u User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.users, u.Name)
}
