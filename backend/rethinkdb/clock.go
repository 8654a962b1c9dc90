package rethinkdb

import (
	"context"
	"time"
)

// A clock is the server's, as far as it is known here. Between two questions it goes by the monotonic time of this
// process, which nobody sets. The server's may be set: forward, and then what it writes seems to come from the future
// until it is asked again.
type clock struct {
	server int64     // in microseconds since 1970
	at     time.Time // when the server said so; zero: never
}

// now is the server's time by what is known, 0 if nothing is.
func (k *clock) now() int64 {
	if k.at.IsZero() {
		return 0
	}
	return k.server + time.Since(k.at).Microseconds()
}

// ask asks the server. A clock never goes back: what was written before the server's was set back has its old times.
func (k *clock) ask(ctx context.Context, c *conn) error {
	now, err := serverTime(ctx, c)
	if err == nil && now > k.now() {
		k.server, k.at = now, time.Now()
	}
	return err
}
