package redis

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"
)

// What a reply may have. The client library allocates what a server announces before it has come, and panics at
// numbers that no slice can have, so the announcements are checked before it sees them.
const (
	maxBulk  = 512 << 20 // the server's own limit of a value
	maxReply = 1 << 30
	maxItems = 1 << 20 // of an array
	maxDepth = 16      // of arrays in arrays
	maxLine  = 64 << 10
	maxHead  = 32 // of a line that announces a length
)

// errLarge is the error of a reply that is too large. A feed that has met it asks for less.
var errLarge = errors.New("redis: a reply is too large")

// A guard is a connection that ends when its server sends what is no RESP2, or too much of it, and when it sends
// nothing for too long while an answer is due. It has the deadlines in its own hands: those of the client library
// are for whole replies, and a large one over a slow wire would never come through.
type guard struct {
	net.Conn
	quiet time.Duration // how long the other side may be silent
	most  int64         // of a reply, in place of maxReply; for tests

	// The fields below belong to the goroutine that asks and reads.
	until  time.Time // when all of it has to be done; zero: never
	broken error
	head   [maxHead]byte // the line that is being read, or its beginning
	line   int           // its length so far
	body   int64         // what is left of a bulk string, its line end included
	open   []int64       // what is left of the arrays that are being read
	size   int64         // of the reply so far
}

func (g *guard) SetDeadline(time.Time) error      { return nil }
func (g *guard) SetReadDeadline(time.Time) error  { return nil }
func (g *guard) SetWriteDeadline(time.Time) error { return nil }

// deadline is that of the next piece of bytes.
func (g *guard) deadline() time.Time {
	d := time.Now().Add(g.quiet)
	if !g.until.IsZero() && g.until.Before(d) {
		return g.until
	}
	return d
}

func (g *guard) Write(p []byte) (int, error) {
	// A write ends when the system has taken all of it: a large one may need several windows of a slow wire.
	written := 0
	for written < len(p) {
		if err := g.Conn.SetWriteDeadline(g.deadline()); err != nil {
			return written, err
		}
		n, err := g.Conn.Write(p[written:min(len(p), written+64<<10)])
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

func (g *guard) Read(p []byte) (int, error) {
	if g.broken != nil {
		return 0, g.broken
	}
	if err := g.Conn.SetReadDeadline(g.deadline()); err != nil {
		return 0, err
	}
	n, err := g.Conn.Read(p)
	if g.broken = g.check(p[:n]); g.broken != nil {
		g.Conn.Close()
		return 0, g.broken
	}
	return n, err
}

// check follows the replies in p, which is what comes next.
func (g *guard) check(p []byte) error {
	most := cmp.Or(g.most, maxReply)
	if g.size += int64(len(p)); g.size > most {
		return fmt.Errorf("%w: more than %d bytes", errLarge, most)
	}
	for len(p) > 0 {
		if g.body > 0 {
			n := min(g.body, int64(len(p)))
			p = p[n:]
			if g.body -= n; g.body == 0 {
				g.complete(len(p))
			}
			continue
		}
		c := p[0]
		p = p[1:]
		if g.line < maxHead {
			g.head[g.line] = c
		}
		g.line++
		if g.line == 1 && c != '+' && c != '-' && c != ':' && c != '$' && c != '*' {
			return fmt.Errorf("redis: a reply cannot begin with %q: is this a Redis server?", c)
		}
		if g.line > maxLine || g.line > maxHead && (g.head[0] == '$' || g.head[0] == '*') {
			return fmt.Errorf("redis: a line of more than %d bytes in a reply", g.line-1)
		}
		if c != '\n' {
			continue
		}
		if err := g.announced(len(p)); err != nil {
			return err
		}
	}
	return nil
}

// announced is called at the end of each line. rest is how many bytes of what comes next are there already.
func (g *guard) announced(rest int) error {
	n := g.line
	g.line = 0
	switch kind := g.head[0]; kind {
	case '$', '*':
		if n < 4 || g.head[n-2] != '\r' {
			return fmt.Errorf("redis: a reply has the line %q", g.head[:n])
		}
		length, err := strconv.ParseInt(string(g.head[1:n-2]), 10, 64)
		switch {
		case err != nil || length < -1:
			return fmt.Errorf("redis: a reply announces a length of %q", g.head[1:n-2])
		case kind == '$' && length > maxBulk || kind == '*' && length > maxItems:
			return fmt.Errorf("redis: a reply announces a length of %d, which is too much", length)
		case kind == '$' && length >= 0:
			g.body = length + 2
			return nil
		case kind == '*' && length > 0:
			if len(g.open) == maxDepth {
				return fmt.Errorf("redis: a reply has arrays in arrays, more than %d deep", maxDepth)
			}
			g.open = append(g.open, length)
			return nil
		}
	}
	g.complete(rest)
	return nil
}

// complete is called at the end of each value.
func (g *guard) complete(rest int) {
	for len(g.open) > 0 {
		last := len(g.open) - 1
		if g.open[last]--; g.open[last] > 0 {
			return
		}
		g.open = g.open[:last]
	}
	g.size = int64(rest)
}
