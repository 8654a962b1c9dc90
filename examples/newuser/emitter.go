package main

import (
	"context"
	"errors"
	"log"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/emitter"

	// The engines that -bus can name.
	_ "github.com/earshot-go/earshot/backend/couchdb"
	_ "github.com/earshot-go/earshot/backend/nats"
	_ "github.com/earshot-go/earshot/backend/redis"
	_ "github.com/earshot-go/earshot/backend/rethinkdb"
	_ "github.com/earshot-go/earshot/backend/sqlite"
	_ "github.com/earshot-go/earshot/bus/membus"
)

// NewUser is the name of the one event that server and mailer have in common, and User its data. They share nothing
// else: no variable, no reference.
const NewUser = "new-user"

// A User is somebody who has just joined.
type User struct {
	Name    string    `json:"name"`
	Email   string    `json:"email"`
	Created time.Time `json:"created"`
}

// openEmitter is the one place that knows where events go. It connects to nothing: what is emitted before the engine
// is there waits until it is.
func openEmitter(url string, from bus.Position) (*emitter.Emitter, error) {
	if url == "mem" {
		url = "mem:" // an emitter in this process
	}
	return emitter.Open(url, &emitter.Options{Name: "newuser", From: from})
}

// report logs what the emitter says about itself. Nobody receives events for that.
func report(e *emitter.Emitter, log *log.Logger) error {
	say := func(name, format string) error {
		_, err := e.On(name, func(_ context.Context, ev emitter.Event) error {
			if ev.Data == nil {
				log.Print(name)
			} else {
				log.Printf(format, ev.Data)
			}
			return nil
		})
		return err
	}
	return errors.Join(
		say(emitter.Connect, "connect"),
		say(emitter.Disconnect, "disconnect: %v"),
		say(emitter.Reconnect, "reconnect after %v"),
		say(emitter.Error, "error: %v"),
		say(emitter.Gap, "gap: %v"),
		say(emitter.Drop, "drop: %v"),
	)
}

// closeEmitter gives the engine some time to take what is still in the buffer, and says what it has not taken.
func closeEmitter(e *emitter.Emitter, grace time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	return e.Close(ctx)
}
