package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// What happens in this application. Whoever wants to hear of it binds a queue.
const (
	userAdded    = "ourapp.user.added"
	userFollowUp = "ourapp.user.followup"
	followedUp   = "ourapp.cst.user.followedUp"

	teamQueue = "ourApp.CustomerSatisfactionTeam"
)

const week = 7 * 24 * time.Hour

// A user is what userAdded carries.
type user struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

// The team welcomes users and asks them a week later how it went. Its queue is durable: what waits in it is done after
// a kill -9 as well, by whichever process is there.
type team struct {
	q     *queue.Queue
	mails *mails
	week  time.Duration // how long a week takes
}

// bindTeam sees to it that the team gets what happens, whether or not it is at work: the store keeps bindings.
func bindTeam(ctx context.Context, q *queue.Queue) error {
	if err := q.Bind(ctx, teamQueue, queue.Name(userAdded)); err != nil {
		return err
	}
	return q.Bind(ctx, teamQueue, queue.Name(userFollowUp))
}

func (t *team) start(ctx context.Context) error {
	if err := t.q.Subscribe(ctx, teamQueue, queue.Name(userAdded), t.onUserAdded); err != nil {
		return err
	}
	return t.q.Subscribe(ctx, teamQueue, queue.Name(userFollowUp), t.onFollowUp)
}

// onUserAdded may be called twice for a user, if this process dies after the mail and before it returns: the mail has the
// same ID then, and FollowUp stores nothing again that still waits.
func (t *team) onUserAdded(ctx context.Context, l queue.Leased) error {
	var u user
	if err := l.Decode(&u); err != nil {
		return queue.Dead(err) // to try again does not help
	}
	if err := t.mails.send(l.ID, u.Email, "Welcome, "+u.Name+"!"); err != nil {
		return err // tried again later
	}
	return t.q.FollowUp(ctx, l,
		queue.Event{Name: userFollowUp, Payload: u, When: t.scale("7 days", week)},
		queue.Event{Name: followedUp},
	)
}

func (t *team) onFollowUp(_ context.Context, l queue.Leased) error {
	var u user
	if err := l.Decode(&u); err != nil {
		return queue.Dead(err)
	}
	return t.mails.send(l.ID, u.Email, "How was your first week, "+u.Name+"?")
}

// scale returns when, as it is, unless weeks are shorter here.
func (t *team) scale(when string, d time.Duration) any {
	if t.week == week {
		return when
	}
	return time.Duration(float64(d) * float64(t.week) / float64(week))
}

// mails are sent to a file.
type mails struct {
	mu sync.Mutex // guards the field below
	to io.Writer
}

func openMails(path string, stdout io.Writer) (*mails, func(), error) {
	if path == "" {
		return &mails{to: stdout}, func() {}, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, err
	}
	return &mails{to: f}, func() { f.Close() }, nil
}

// send writes one line, at once: so no half of a mail is left by a kill.
func (m *mails) send(id, to, text string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err := fmt.Fprintf(m.to, "%s to %s: %s\n", id, to, text)
	return err
}
