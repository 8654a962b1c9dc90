package nats

import (
	"context"
	"errors"
	"strconv"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot-go/earshot/event"
)

// Bounds of what is stored as one. The server's own is 1000 events; it keeps them in memory until the last is
// there.
const (
	batchMessages = 1000
	batchBytes    = 4 << 20
)

// Headers of a batch that is stored as one.
const (
	batchID       = "Nats-Batch-Id"
	batchSequence = "Nats-Batch-Sequence"
	batchCommit   = "Nats-Batch-Commit"
)

// Codes with which the server refuses a batch and would take the same events one by one.
var batchOnly = map[jetstream.ErrorCode]bool{
	10201: true, // an event is there already: the call is a repeated one
	10210: true, // too many batches are under way
}

// publishStream publishes one by one, or with Atomic in parts that the stream stores as one each. A part follows when the last
// one is stored, so that a refusal never leaves a hole.
func (l *link) publishStream(ctx context.Context, messages []message) error {
	if !l.bus.opts.Atomic || len(messages) == 1 {
		return l.pipeline(ctx, messages)
	}
	for len(messages) > 0 {
		n, size := 0, 0
		for n < min(len(messages), batchMessages) && (n == 0 || size+len(messages[n].data) <= batchBytes) {
			size += len(messages[n].data)
			n++
		}
		err := errBatch
		if n > 1 {
			err = l.whole(ctx, messages[:n])
		}
		if api := (*jetstream.APIError)(nil); err == errBatch || errors.As(err, &api) && batchOnly[api.ErrorCode] {
			err = l.pipeline(ctx, messages[:n])
		}
		if err != nil {
			return err
		}
		messages = messages[n:]
	}
	return nil
}

var errBatch = errors.New("one event is no batch")

// whole publishes messages that are stored as one. The server answers the last.
func (l *link) whole(ctx context.Context, messages []message) error {
	p := newPublishing(l, messages, 1)
	key := l.add(p)
	defer l.remove(key)
	id, sequence := []string{event.NewID()}, []string{""}
	header := natsgo.Header{natsgo.MsgIdHdr: {""}, batchID: id, batchSequence: sequence}
	out := natsgo.Msg{Header: header}
	for i := range messages {
		sequence[0] = strconv.Itoa(i + 1)
		if i == len(messages)-1 {
			header[batchCommit] = []string{"1"}
			out.Reply = p.reply(key)
		}
		if err := p.send(ctx, &out, i); err != nil {
			return err
		}
	}
	return p.wait(ctx)
}
