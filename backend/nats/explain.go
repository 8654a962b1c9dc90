package nats

import (
	"context"
	"errors"
	"fmt"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot-go/earshot/bus"
)

var (
	errNoAnswer    = errors.New("no answer in time")
	errNoJetStream = errors.New("the server has no JetStream, or not for this account: start it with -js, or say mode=core in the URL")
)

// Codes of the server's API that package jetstream has no names for.
const (
	codeUnavailable = 10008 // the cluster has no leader at the moment
	codeNotLeader   = 10009
	// The server could not make the stream's directory. Version 2.15.2 removes the empty directories above it
	// for a moment after the last stream of an account was removed, so that the next attempt may do.
	codeNoStore = 10049
)

// explain puts what went wrong under one of package bus's errors. What is under none of them is the server's own
// word, and repeating the call does not help before somebody has changed something.
func (b *Bus) explain(what string, err error) error {
	var api jetstream.JetStreamError
	var kind error
	switch {
	case known(err):
		return err
	case errors.Is(err, natsgo.ErrAuthorization), errors.Is(err, natsgo.ErrAuthExpired), errors.Is(err, natsgo.ErrAuthRevoked),
		errors.Is(err, natsgo.ErrAccountAuthExpired), errors.Is(err, natsgo.ErrPermissionViolation):
		kind = bus.ErrDenied
	case errors.Is(err, natsgo.ErrMaxPayload):
		kind = bus.ErrTooLarge
	case errors.Is(err, errNoJetStream), errors.Is(err, natsgo.ErrHeadersNotSupported):
		kind = bus.ErrUnsupported
	case errors.As(err, &api) && api.APIError() != nil:
		switch api.APIError().ErrorCode {
		case jetstream.JSErrCodeStreamMessageExceedsMaximum:
			kind = bus.ErrTooLarge
		case codeUnavailable, codeNotLeader, codeNoStore:
			kind = bus.ErrDisconnected
		default:
			return fmt.Errorf("nats: %s %s: %w", what, b, err)
		}
	default:
		kind = bus.ErrDisconnected
	}
	return fmt.Errorf("nats: %s %s: %w: %w", what, b, kind, err)
}

// known reports whether an error needs no more explanation.
func known(err error) bool {
	for _, e := range []error{bus.ErrDisconnected, bus.ErrDenied, bus.ErrForeignToken, bus.ErrTooLarge, bus.ErrUnsupported, bus.ErrClosed, errStream, context.Canceled} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
