package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

const (
	maxLine = 8 << 20 // a record is far smaller; this only bounds what a server can make us hold

	// The server counts aloud each second. When that many seconds are silent it, or the way to it, is gone.
	silence = 20 * time.Second
)

// A frame is a line of the stream: an event that was sent, or something about the stream itself.
type frame struct {
	Channel *string     // nil if the frame is no event; its name may be empty
	Seq     json.Number // exact, whatever its size
	Time    string
	Type    string
	Size    json.Number
	Missed  uint64
	Event   json.RawMessage

	Stats *tapStats
	Gap   *struct {
		Reason string
		Missed *uint64
	}
	End *struct{ Reason string }

	raw []byte
}

// tapStats are the server's counts: seen = shown + filtered + shed.
type tapStats struct {
	Seen, Shown, Filtered, Shed uint64
	Payloads                    *bool
}

// A stream reads frames in a goroutine of its own, so that its user can wait for other things as well.
type stream struct {
	frames chan frame // closed at the end
	err    error      // why, once frames is closed; nil if the server closed it
	cancel context.CancelFunc
}

// open starts a stream. The caller must call close.
func (c *client) open(ctx context.Context, q url.Values) (*stream, error) {
	ctx, cancel := context.WithCancel(ctx)
	q.Set("stats", "1")
	req, err := c.request(ctx, http.MethodGet, "events.ndjson", q, nil)
	if err != nil {
		cancel()
		return nil, err
	}
	req.Header.Set("Accept", "application/x-ndjson")
	resp, err := c.do(req)
	if err != nil {
		cancel()
		return nil, err
	}
	s := &stream{frames: make(chan frame, 256), cancel: cancel}
	go func() { // ends with ctx, or with the response
		defer close(s.frames)
		defer resp.Body.Close()
		s.err = s.read(c, resp.Body)
	}()
	return s, nil
}

// close ends the stream and waits for its goroutine.
func (s *stream) close() {
	s.cancel()
	for range s.frames {
	}
}

func (s *stream) read(c *client, body io.Reader) error {
	lines := bufio.NewReaderSize(body, 64<<10)
	for first := true; ; first = false {
		line, err := readLine(lines)
		if len(line) > 0 && err == nil {
			f := frame{raw: line}
			if bad := json.Unmarshal(line, &f); bad != nil {
				if first {
					return c.notOurs(snippet(line))
				}
				return fail(exitFailed, "", "the stream is broken: %v in %s", bad, snippet(line))
			}
			s.frames <- f // taken by the user, or by close
			continue
		}
		switch {
		case err == nil: // an empty line keeps the connection alive
		case err == io.EOF && len(line) == 0:
			return nil
		case errors.Is(err, errLongLine):
			return fail(exitFailed, "", "the stream is broken: %v", err)
		default:
			return fail(exitFailed, "the program has ended, or something between here and there has closed the connection",
				"the connection to %s broke: %v", c.base.Host, err)
		}
	}
}

var errLongLine = fmt.Errorf("a line is longer than %d MiB", maxLine>>20)

// readLine returns the next line without its end, as a slice of its own. A last line without an end is
// a cut one: it comes with io.ErrUnexpectedEOF.
func readLine(r *bufio.Reader) (line []byte, err error) {
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return line[:len(line)-1], nil
		case err == io.EOF && len(line) > 0:
			return line, io.ErrUnexpectedEOF
		case err != bufio.ErrBufferFull:
			return nil, err
		case len(line) > maxLine:
			return nil, errLongLine
		}
	}
}
