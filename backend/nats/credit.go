package nats

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	natsgo "github.com/nats-io/nats.go"
)

const (
	feedWindow = 512     // how many events a feed asks for
	feedBytes  = 8 << 20 // and how many bytes of them; twice that may be under way
	statusRoom = 256     // for what the server says between events: a heartbeat a second while a request is open
)

// Headers of what the server says between events.
const (
	pendingMessages = "Nats-Pending-Messages"
	lastStream      = "Nats-Last-Stream"
)

// A credit is what a feed has asked for and has not had yet.
type credit struct {
	open  int  // events that may still come
	fresh bool // nothing came since the last request
	alone bool // the next event does not fit into feedBytes: ask for it alone
	// head says that the server had nothing more when it sent the last event, and was allowed to send the
	// next one as soon as it came: nothing can have been removed in between.
	head bool
}

func (c *credit) delivered(pending uint64) {
	c.open--
	c.fresh = false
	c.head = pending == 0 && c.open > 0
}

// A request as the server's API has it.
type pull struct {
	Batch     int   `json:"batch"`
	MaxBytes  int64 `json:"max_bytes,omitempty"`
	Expires   int64 `json:"expires"`        // in nanoseconds
	Heartbeat int64 `json:"idle_heartbeat"` // in nanoseconds
}

// request asks for events if there is room for half the window: the next ones are under way before the last have
// been read.
func (f *feed) request() error {
	c := &f.credit
	if c.open > feedWindow/2 || f.finished {
		return nil
	}
	p := pull{
		Batch:     feedWindow - c.open,
		MaxBytes:  max(feedBytes, 2*f.link.nc.MaxPayload()),
		Expires:   int64(f.bus.timing.expire),
		Heartbeat: int64(f.bus.timing.heartbeat),
	}
	if c.alone {
		p.Batch, p.MaxBytes = 1, 0
	}
	c.open += p.Batch
	c.fresh, c.alone = true, false
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := f.link.nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT."+f.bus.opts.Stream+"."+f.consumer, f.inbox, body); err != nil {
		return f.link.lost("read the feed of")
	}
	return nil
}

// status handles what the server says that is no event.
func (f *feed) status(ctx context.Context, m *natsgo.Msg) error {
	code, text := m.Header.Get("Status"), m.Header.Get("Description")
	switch code {
	case "100":
		return f.idle(ctx, m)
	case "408", "409":
		if left, err := strconv.Atoi(m.Header.Get(pendingMessages)); err == nil && left >= 0 {
			// A request has ended before all of it came: its time was over, or its bytes.
			f.credit.alone = f.credit.fresh && strings.Contains(text, "MaxBytes")
			f.credit.open = max(f.credit.open-left, 0)
			f.credit.head = false
			return nil
		}
	case "":
		f.bus.garbage.Add(1)
		return nil
	}
	// Consumer Deleted, Leadership Change, Server Shutdown, or nobody is there any more.
	return f.trouble(ctx, fmt.Sprintf("the server says %s %s", code, text))
}

// idle handles a heartbeat, with which the server says how far it has looked.
func (f *feed) idle(ctx context.Context, m *natsgo.Msg) error {
	seen, err := strconv.ParseUint(m.Header.Get(lastStream), 10, 64)
	if err != nil || seen <= f.pos {
		f.credit.head = err == nil
		return nil
	}
	if f.past {
		seen = min(seen, f.last)
	}
	if err := f.skip(ctx, seen); err != nil {
		return err // the next heartbeat says it again
	}
	f.credit.head = true
	f.finished = f.finished || f.past && seen == f.last
	return nil
}
