package redis

import (
	"errors"
	"fmt"
	"strings"

	"github.com/earshot-go/earshot/queue"
	client "github.com/redis/go-redis/v9"
)

// answers say what a server's answer means to a store, by how it begins.
var answers = []struct {
	prefix string
	err    error
	advice string
}{
	{"OOM", queue.ErrFull, "raise maxmemory, or remove items; what is leased can still be settled"},
	{"READONLY", queue.ErrDenied, "this server is a replica: connect to the primary"},
	{"NOREPLICAS", queue.ErrDenied, "too few replicas are connected: see min-replicas-to-write"},
	{"WRONGTYPE", queue.ErrDamaged, "another program has a key of this namespace: choose another with ?namespace="},
	{"NEWER", queue.ErrDamaged, "the namespace was made by a later version of this program: use that one, or another namespace; nothing was changed"},
	{"ERR Error compiling script", queue.ErrUnsupported, "Redis 7.0 or later is needed"},
	{"ERR unknown command", queue.ErrUnsupported, "Redis 7.0 or later is needed"},
}

// storeMeaning wraps what a call met in the error of package queue that it means.
func storeMeaning(err error) error {
	for _, known := range []error{queue.ErrDisconnected, queue.ErrDenied, queue.ErrDamaged, queue.ErrStaleBindings, queue.ErrClosed} {
		if errors.Is(err, known) {
			return err
		}
	}
	var said client.Error
	switch {
	case errors.Is(err, errReply):
		return fmt.Errorf("%w: %w", queue.ErrDamaged, err)
	case !errors.As(err, &said):
		// Not wrapped: that a deadline of ours has passed must not look as if one of the caller's had.
		return fmt.Errorf("%w: %v", queue.ErrDisconnected, err)
	case begins(err, denials):
		return fmt.Errorf("%w: %w", queue.ErrDenied, err)
	case begins(err, absences):
		return fmt.Errorf("%w: %w", queue.ErrDisconnected, err)
	case strings.HasPrefix(said.Error(), "MISCONF"):
		if strings.Contains(said.Error(), "No space left") {
			return fmt.Errorf("%w: %w (the server's disk is full)", queue.ErrFull, err)
		}
		return fmt.Errorf("%w: %w (the server cannot write to its disk: see its log)", queue.ErrDenied, err)
	}
	for _, a := range answers {
		if strings.HasPrefix(said.Error(), a.prefix) {
			return fmt.Errorf("%w: %w (%s)", a.err, err, a.advice)
		}
	}
	return err
}
