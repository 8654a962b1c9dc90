package tap

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A conn writes one viewer's stream to its connection. Everything happens in the goroutine that net/http
// has for the request, so a viewer that does not read stops only that, and its session's tap loses events
// meanwhile; none of it is in the way of a sender.
type conn struct {
	w       http.ResponseWriter
	ctl     *http.ResponseController
	q       request
	s       *session
	pace    *pace
	buf     []byte
	begun   bool
	err     error // of the last write
	written time.Time
}

const (
	writeWithin = 10 * time.Second // or the viewer is taken to be gone
	heartbeat   = 15 * time.Second
	statsEach   = time.Second
	frameBytes  = 32 << 10 // what is collected before it is written
)

func newConn(w http.ResponseWriter, q request, s *session, p *pace) *conn {
	return &conn{w: w, ctl: http.NewResponseController(w), q: q, s: s, pace: p, written: time.Now()}
}

// serve writes until ctx ends, the stream does, closed is closed, or all that was asked for has been
// written. It reports whether the viewer may want to go on later.
func (c *conn) serve(ctx context.Context, closed <-chan struct{}, gap bool) (again bool) {
	// A timeout of the web server is for requests that are answered at once.
	_ = c.ctl.SetReadDeadline(time.Time{})
	c.greet(gap)
	stats := time.NewTicker(statsEach)
	defer stats.Stop()
	for c.flush() {
		server := c.s.stream.tap.Done()
		more := c.pace.do(c.fill, ctx.Done(), closed, server)
		if c.done() {
			c.end("count reached")
			return false
		}
		select {
		case <-server:
			// What is in hand and goes into one write. With many viewers and large events the rest would keep
			// them all for seconds, and whoever wants to end the program.
			c.fill()
			c.end(reason(c.s.stream.Err()))
			return false
		default:
		}
		if len(c.buf) > 0 && !more {
			continue // write it, and look again before waiting
		}
		ready, after := c.s.stream.ready(more)
		var pause <-chan time.Time
		if after != nil {
			pause = after.C
		}
		select {
		case <-ready:
		case <-pause:
		case <-stats.C:
			c.stats()
		case <-ctx.Done():
			return true
		case <-closed:
			c.end("page closed")
			return false
		}
		if after != nil {
			after.Stop()
		}
	}
	return true
}

// greet writes what a viewer should know first: what it has missed, and how things stand.
func (c *conn) greet(gap bool) {
	if c.q.sse {
		c.buf = append(c.buf, "retry: 1000\n\n"...)
	}
	if _, n, ok := strings.Cut(c.q.lastID, "-"); ok && !gap {
		last, _ := strconv.ParseUint(n, 10, 64)
		again, missed := c.s.after(last)
		if missed > 0 {
			c.gap("the connection was lost for too long", strconv.FormatUint(missed, 10))
		}
		for _, k := range again {
			c.record(k.n, k.data)
		}
	} else if gap {
		c.gap("the connection was lost; what was sent meanwhile is not known", "null")
	}
	c.stats()
}

// fill collects records, and reports whether there may be more at once.
func (c *conn) fill() (more bool) {
	for began := time.Now(); len(c.buf) < frameBytes && !c.done() && time.Since(began) < turn; {
		rec, ok := c.s.stream.step()
		if !ok {
			return c.s.stream.more
		}
		data := rec.append(nil, c.q.enc)
		c.record(c.s.keep(data, c.q.sse), data)
	}
	return true
}

func (c *conn) done() bool { return c.q.count > 0 && c.s.sent >= c.q.count }

func (c *conn) record(n uint64, data []byte) {
	if !c.q.sse {
		c.buf = append(append(c.buf, data...), '\n')
		return
	}
	c.buf = append(c.buf, "id: "...)
	c.buf = append(c.buf, c.s.id...)
	c.buf = append(c.buf, '-')
	c.buf = strconv.AppendUint(c.buf, n, 10)
	c.buf = append(c.buf, "\nevent: record\ndata: "...)
	c.buf = append(append(c.buf, data...), "\n\n"...)
}

// frame collects what is not a record: an event of that name, or an object under it.
func (c *conn) frame(name string, data []byte) {
	if c.q.sse {
		c.buf = append(append(c.buf, "event: "...), name...)
		c.buf = append(append(append(c.buf, "\ndata: "...), data...), "\n\n"...)
		return
	}
	c.buf = append(append(append(c.buf, `{"`...), name...), `":`...)
	c.buf = append(append(c.buf, data...), "}\n"...)
}

func (c *conn) stats() {
	if !c.q.stats {
		if time.Since(c.written) >= heartbeat {
			c.buf = append(c.buf, '\n') // readers of lines skip empty ones
		}
		return
	}
	st := c.s.stream.Stats()
	b := []byte(`{"seen":`)
	b = strconv.AppendUint(b, st.Seen, 10)
	b = append(b, `,"shown":`...)
	b = strconv.AppendUint(b, st.Shown, 10)
	b = append(b, `,"filtered":`...)
	b = strconv.AppendUint(b, st.Filtered, 10)
	b = append(b, `,"shed":`...)
	b = strconv.AppendUint(b, st.Shed, 10)
	b = append(b, `,"waiting":`...)
	b = strconv.AppendUint(b, st.Waiting, 10)
	b = append(b, `,"time":"`...)
	b = time.Now().UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","payloads":`...)
	b = strconv.AppendBool(b, c.q.enc != nil)
	c.frame("stats", append(b, '}'))
}

func (c *conn) gap(reason, missed string) {
	b := append([]byte(`{"reason":`), appendText(nil, reason)...)
	b = append(append(b, `,"missed":`...), missed...)
	c.frame("gap", append(b, '}'))
}

// end writes how the stream ends, if anybody listens still.
func (c *conn) end(reason string) {
	c.s.stream.Close()
	c.stats()
	if c.q.stats {
		c.frame("end", append(append([]byte(`{"reason":`), appendText(nil, reason)...), '}'))
	}
	c.flush()
}

// flush writes what has been collected. It reports false when the viewer is gone.
func (c *conn) flush() bool {
	if len(c.buf) == 0 && c.begun || c.err != nil {
		return c.err == nil
	}
	c.begun = true // the header goes out at once, so that the viewer knows that it is being served
	_ = c.ctl.SetWriteDeadline(time.Now().Add(writeWithin))
	if _, c.err = c.w.Write(c.buf); c.err == nil {
		c.err = c.ctl.Flush()
	}
	c.buf = c.buf[:0]
	c.written = time.Now()
	return c.err == nil
}
