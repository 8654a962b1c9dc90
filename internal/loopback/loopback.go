// Package loopback is for servers that tests start on this machine.
package loopback

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// Port returns a port of 127.0.0.1 that nobody listens on. It is one that the system gives to no outgoing
// connection: while a server is down between two starts, nothing else takes its port, and a client that dials it
// again and again does not meet itself.
func Port() (int, error) {
	var errs []error
	for range 20 {
		port := 20000 + rand.IntN(12000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return port, l.Close()
		}
		errs = append(errs, err)
	}
	return 0, fmt.Errorf("no free port: %w", errors.Join(errs...))
}
