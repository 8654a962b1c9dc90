package couchdb

import (
	"bytes"
	"context"
	"io"
	"time"
)

// A large request may take a slow wire longer than an answer may take the server, so the time of an answer begins anew
// with every piece that goes out. What the system holds has left this process and has not gone out: it is kept small,
// and allowed the time that it takes at the slowest rate.
const (
	piece   = 32 << 10
	held    = 256 << 10
	slowest = 128 << 10 // bytes in a second
)

// upload is do for a body of any length. Its time limit is not that of the context.
func (s *server) upload(ctx context.Context, method, path string, body []byte) (status int, text []byte, err error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	silent := time.AfterFunc(s.timeout, func() { stop(errNoAnswer) })
	defer silent.Stop()
	return s.exchange(ctx, method, path, body, func(left int) {
		limit := s.timeout
		if left == 0 {
			limit += time.Duration(min(len(body), 2*held)) * time.Second / slowest // systems may hold twice
		}
		if ctx.Err() == nil {
			silent.Reset(limit)
		}
	})
}

// pieces reads a body in pieces.
func pieces(body *bytes.Reader, moved func(left int)) io.Reader {
	return reader(func(p []byte) (int, error) {
		n, err := body.Read(p[:min(len(p), piece)])
		moved(body.Len())
		return n, err
	})
}
