package nats

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// window is how many events of one call may be without an answer. A server has a queue for events that are to be
// stored, and refuses more.
const window = 2048

// A publishing is one call of Publish: what was sent, and what was answered.
type publishing struct {
	link     *link
	messages []message
	answers  int           // that are to come
	done     chan struct{} // closed at the last acknowledgement, or the first error
	room     chan struct{} // has a value when acknowledgements came since it was empty

	mu    sync.Mutex // guards the fields below
	acked int
	over  bool  // done is closed
	err   error // to be read under mu, or when done is closed
}

func newPublishing(l *link, messages []message, answers int) *publishing {
	return &publishing{link: l, messages: messages, answers: answers, done: make(chan struct{}), room: make(chan struct{}, 1)}
}

// reply is where acknowledgements of the publishing go.
func (p *publishing) reply(key uint64) string {
	return p.link.inbox + "." + strconv.FormatUint(key, 36)
}

// pipeline sends messages each of which the server judges for itself, and waits for all acknowledgements.
func (l *link) pipeline(ctx context.Context, messages []message) error {
	p := newPublishing(l, messages, len(messages))
	key := l.add(p)
	defer l.remove(key)
	out := natsgo.Msg{Header: natsgo.Header{natsgo.MsgIdHdr: {""}}, Reply: p.reply(key)}
	for i := range messages {
		if i >= window {
			if err := p.until(ctx, i-window+1); err != nil {
				return err
			}
		}
		if err := p.send(ctx, &out, i); err != nil {
			return err
		}
	}
	return p.wait(ctx)
}

// send writes a message, in the header and for the reply of out.
func (p *publishing) send(ctx context.Context, out *natsgo.Msg, i int) error {
	select {
	case <-p.done: // refused: what comes after it must not be stored before it
		return p.err
	case <-ctx.Done():
		return context.Cause(ctx)
	default:
	}
	m := &p.messages[i]
	out.Subject, out.Data = m.subject, m.data
	out.Header[natsgo.MsgIdHdr][0] = m.id
	if err := p.link.nc.PublishMsg(out); err != nil {
		p.link.end(err)
		return p.link.lost("publish to")
	}
	return nil
}

// wait waits for all acknowledgements.
func (p *publishing) wait(ctx context.Context) error { return p.until(ctx, p.answers) }

// until waits for so many acknowledgements, or the first error. It gives up when none has come for some time.
func (p *publishing) until(ctx context.Context, want int) error {
	l, seen := p.link, -1
	var timer *time.Timer
	for {
		p.mu.Lock()
		acked, over, err := p.acked, p.over, p.err
		p.mu.Unlock()
		if over || acked >= want {
			return err
		}
		if timer == nil {
			timer = time.NewTimer(l.bus.timing.answer)
			defer timer.Stop()
		} else if acked != seen {
			timer.Reset(l.bus.timing.answer)
		}
		seen = acked
		select {
		case <-p.done:
		case <-p.room:
		case <-l.done:
			return l.lost("publish to")
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
			l.end(errNoAnswer) // or the next call would wait as long
			return l.bus.explain("publish to", errNoAnswer)
		}
	}
}

// acknowledged takes the server's word about one event.
func (l *link) acknowledged(m *natsgo.Msg) {
	key, err := strconv.ParseUint(m.Subject[strings.LastIndexByte(m.Subject, '.')+1:], 36, 64)
	if err != nil {
		return
	}
	l.mu.Lock()
	p, _ := l.calls[key].(*publishing)
	l.mu.Unlock()
	if p != nil { // nil if nobody waits for it any more
		p.acknowledge(l.verdict(m))
	}
}

// verdict returns nil if an acknowledgement says that the event is in the stream.
func (l *link) verdict(m *natsgo.Msg) error {
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		return natsgo.ErrNoResponders
	}
	if bytes.HasPrefix(m.Data, l.ack) && !bytes.Contains(m.Data, []byte(`"error"`)) {
		return nil // as all servers write it; a million times in a row is no time to parse JSON
	}
	var answer struct {
		Stream string              `json:"stream"`
		Error  *jetstream.APIError `json:"error"`
	}
	switch err := json.Unmarshal(m.Data, &answer); {
	case err != nil:
		return fmt.Errorf("the answer is no acknowledgement: %.80q", m.Data)
	case answer.Error != nil:
		return answer.Error
	case answer.Stream != l.bus.opts.Stream:
		return fmt.Errorf("another stream, %q, has stored it", answer.Stream)
	}
	return nil
}

func (p *publishing) acknowledge(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return
	}
	p.acked++
	switch {
	case err != nil:
		p.endLocked(p.link.refused(len(p.messages), err))
	case p.acked == p.answers:
		p.endLocked(nil)
	default:
		select {
		case p.room <- struct{}{}:
		default:
		}
	}
}

func (p *publishing) endLocked(err error) {
	if !p.over {
		p.over, p.err = true, err
		close(p.done)
	}
}

func (p *publishing) concerns(text string) bool {
	last := ""
	for i := range p.messages {
		if s := p.messages[i].subject; s != last && strings.Contains(text, `"`+s+`"`) {
			return true
		} else {
			last = s
		}
	}
	return false
}

func (p *publishing) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endLocked(err)
}
