package redis

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/earshot-go/earshot/bus"
	client "github.com/redis/go-redis/v9"
)

var (
	errGone = fmt.Errorf("%w: the stream was removed since", bus.ErrForeignToken)
	errOld  = fmt.Errorf("the server is older than Redis 7.0 (%w)", bus.ErrUnsupported)
)

// denials, absences and refusals are the beginnings of what a server answers.
var (
	denials  = []string{"NOAUTH", "WRONGPASS", "NOPERM", "DENIED", "ERR invalid password", "ERR AUTH ", "ERR Client sent AUTH", "ERR invalid username-password"}
	absences = []string{"LOADING", "BUSY ", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK ", "UNBLOCKED", "ERR max number of clients"}
	advice   = map[string]string{
		"OOM":        "raise maxmemory, or keep less: see keep and keepfor",
		"READONLY":   "this server is a replica: connect to the primary",
		"MISCONF":    "the server cannot write to its disk: see its log",
		"NOREPLICAS": "too few replicas are connected: see min-replicas-to-write",
		"WRONGTYPE":  "the key has something that is no stream: choose another with ?stream=",
	}
)

// meaning wraps what a call met in the error of package bus that it means.
func meaning(err error) error {
	for _, known := range []error{bus.ErrForeignToken, bus.ErrUnsupported, bus.ErrDenied, bus.ErrClosed, bus.ErrDisconnected, bus.ErrTooLarge} {
		if errors.Is(err, known) {
			return err
		}
	}
	var said client.Error
	if !errors.As(err, &said) {
		// Not wrapped: that a deadline of ours has passed must not look as if one of the caller's had.
		return fmt.Errorf("%w: %v", bus.ErrDisconnected, err)
	}
	switch {
	case begins(err, denials):
		return fmt.Errorf("%w: %w", bus.ErrDenied, err)
	case begins(err, absences):
		return fmt.Errorf("%w: %w", bus.ErrDisconnected, err)
	}
	for p, what := range advice {
		if strings.HasPrefix(said.Error(), p) {
			return fmt.Errorf("%w (%s)", err, what)
		}
	}
	if begins(err, []string{"ERR unknown subcommand", "ERR Unknown subcommand", "ERR unknown command"}) {
		return fmt.Errorf("%w: %w: Redis 7.0 or later is needed", bus.ErrUnsupported, err)
	}
	return err
}

// begins reports whether what a server has said begins with one of these.
func begins(err error, prefixes []string) bool {
	var said client.Error
	return errors.As(err, &said) && slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(said.Error(), p) })
}

// moved returns the address at which a cluster has the stream, if err says that it is not here.
func moved(err error) (addr string) {
	var said client.Error
	if !errors.As(err, &said) {
		return ""
	}
	words := strings.Fields(said.Error()) // MOVED 3999 127.0.0.1:6381
	if len(words) != 3 || words[0] != "MOVED" || strings.HasPrefix(words[2], ":") {
		return ""
	}
	return words[2]
}
