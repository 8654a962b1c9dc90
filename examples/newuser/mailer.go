package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/emitter"
)

// A mailer welcomes users. It does not know who creates them.
type mailer struct {
	outbox io.Writer // a line is a mail
}

func (m *mailer) listen(e *emitter.Emitter) error {
	_, err := emitter.On(e, NewUser, func(ctx context.Context, user User) error {
		return m.sendMail(user.Email, "welcome to our great platform!!!")
	})
	return err
}

func (m *mailer) sendMail(to, text string) error {
	_, err := fmt.Fprintf(m.outbox, "%s: %s\n", to, text)
	return err
}

// openOutbox opens the file that mails are appended to.
func openOutbox(path string, stdout io.Writer) (io.Writer, func() error, error) {
	if path == "" {
		return stdout, func() error { return nil }, nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, nil, err
	}
	return f, f.Close, nil
}

// A bookmark is a file that says how far a mailer has come, so that the next one goes on there.
type bookmark string

// position is where to listen from: now if nobody wants a bookmark, else after the user who was mailed last, and from
// the oldest that is kept if nobody was.
func (b bookmark) position() (bus.Position, error) {
	if b == "" {
		return bus.Now, nil
	}
	text, err := os.ReadFile(string(b))
	if errors.Is(err, fs.ErrNotExist) {
		return bus.Start, nil
	}
	return bus.After(bus.Token(strings.TrimSpace(string(text)))), err
}

// keep moves the bookmark behind every user. It is called after mailer.listen, so its listener comes after the mailer's:
// a mailer that dies between the two mails one user twice, and never leaves one out.
func (b bookmark) keep(e *emitter.Emitter) error {
	if b == "" {
		return nil
	}
	_, err := e.On(NewUser, func(_ context.Context, ev emitter.Event) error {
		return b.move(ev.Received.Token)
	})
	return err
}

// move replaces the file as a whole, so that there is never half a token in it.
func (b bookmark) move(to bus.Token) error {
	if err := os.WriteFile(string(b)+".new", []byte(to+"\n"), 0o644); err != nil {
		return err
	}
	return os.Rename(string(b)+".new", string(b))
}
