package earshot_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot-go/earshot"
)

// TestModel runs the same random operations on the package and on the model, and compares every
// result, and all counters at the end.
func TestModel(t *testing.T) {
	sequences := 20_000
	if raceEnabled {
		sequences = 2000
	}
	if testing.Short() {
		sequences /= 10
	}
	seed := testSeed(t)
	start := time.Now()
	for i := range sequences {
		rng := rand.New(rand.NewPCG(seed+uint64(i), 0))
		ops := make([]modelOp, 100)
		for i := range ops {
			ops[i] = newModelOp(rng)
		}
		if runModel(ops) == nil {
			continue
		}
		ops, err := shrinkModel(ops)
		t.Fatalf("seed %d (EARSHOT_SEED=%[1]d repeats it at once): %v\n%s", seed+uint64(i), err, listModel(ops))
	}
	t.Logf("%d sequences of 100 operations in %v", sequences, time.Since(start).Round(time.Millisecond))
}

// shrinkModel returns the shortest beginning of ops that fails, without what it can do without.
func shrinkModel(ops []modelOp) ([]modelOp, error) {
	n := 1
	for runModel(ops[:n]) == nil {
		n++
	}
	ops = slices.Clone(ops[:n])
	for i := 0; i < len(ops); {
		less := slices.Delete(slices.Clone(ops), i, i+1)
		if runModel(less) != nil {
			ops = less
		} else {
			i++
		}
	}
	return ops, runModel(ops)
}

func listModel(ops []modelOp) string {
	var b strings.Builder
	for i, op := range ops {
		fmt.Fprintf(&b, "%3d: %v\n", i, op)
	}
	return b.String()
}

// A modelPair is a mailbox and its model. A new one takes its place when it has been closed.
type modelPair struct {
	real  modelReal
	model *modelBox
	refs  []earshot.Ref // that it has had
	subs  []*modelSub   // the same in the model
}

// modelReal is a *modelMail[E], whatever E.
type modelReal interface {
	subscribe(name any) (earshot.Ref, error)
	SubscribePattern(pattern string) (earshot.Ref, error)
	Unsubscribe(ref earshot.Ref) error
	receive() (modelMessage, bool)
	loop(n int) []modelMessage
	Ready() <-chan struct{}
	Close() error
	Err() error
	Stats() earshot.MailboxStats
}

type modelMessage struct {
	ref         earshot.Ref
	seq, missed uint64
	event       any
}

type modelMail[E any] struct{ *earshot.Mailbox[E] }

func (m modelMail[E]) subscribe(name any) (earshot.Ref, error) { return m.Subscribe(name) }

func (m modelMail[E]) receive() (modelMessage, bool) {
	msg, ok := m.TryReceive()
	return modelMessage{msg.Ref, msg.Seq, msg.Missed, msg.Event}, ok
}

func (m modelMail[E]) loop(n int) (got []modelMessage) {
	for msg := range m.Messages(context.Background()) {
		got = append(got, modelMessage{msg.Ref, msg.Seq, msg.Missed, msg.Event})
		if len(got) == n {
			break
		}
	}
	return got
}

// newModelPair makes mailboxes of three types and all policies in turn.
func newModelPair(s *earshot.Server, m *modelServer, n int) *modelPair {
	opts := &earshot.MailboxOptions{
		Capacity: modelCapacities[n/len(modelPolicies)/3%len(modelCapacities)], Overflow: modelPolicies[n/3%len(modelPolicies)],
	}
	p := &modelPair{model: &modelBox{srv: m, capacity: opts.Capacity, overflow: opts.Overflow}}
	ctx := context.Background()
	switch n % 3 {
	case 0:
		p.real = modelMail[any]{earshot.NewMailbox[any](ctx, s, opts)}
		p.model.takes = func(any) bool { return true }
	case 1:
		p.real = modelMail[int]{earshot.NewMailbox[int](ctx, s, opts)}
		p.model.typed, p.model.takes = 0, func(e any) bool { _, ok := e.(int); return ok }
	case 2:
		p.real = modelMail[string]{earshot.NewMailbox[string](ctx, s, opts)}
		p.model.typed, p.model.takes = "", func(e any) bool { _, ok := e.(string); return ok }
	}
	if opts.Overflow == earshot.Latest {
		p.model.capacity = 1
	}
	return p
}

// runModel returns what the package and the model differ in.
func runModel(ops []modelOp) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	s := earshot.NewServer(nil)
	model := &modelServer{channels: map[any]*modelChannel{}}
	handles := []*earshot.Channel[int]{
		earshot.NewChannel[int](s, "a.x", nil),
		earshot.NewChannel[int](s, "a.b.c", &earshot.ChannelOptions{Replay: 5}),
	}
	model.declare("a.x", 0)
	model.declare("a.b.c", 5)
	pairs := make([]*modelPair, 4)
	for i, op := range ops {
		if pairs[op.box] == nil {
			pairs[op.box] = newModelPair(s, model, op.n)
		}
		if err := op.run(s, model, handles, pairs[op.box]); err != nil {
			return fmt.Errorf("operation %d, %v: %w", i, op, err)
		}
		if op.kind == opClose && op.n%2 == 0 {
			pairs[op.box] = nil
		}
	}
	for i, p := range pairs {
		if p != nil {
			if err := p.compare(); err != nil {
				return fmt.Errorf("mailbox %d at the end: %w", i, err)
			}
		}
	}
	for st := range s.Channels() {
		c := model.channels[st.Name]
		if c == nil && (st.Live || !strings.HasPrefix(fmt.Sprint(st.Name), "earshot.")) || c != nil &&
			(c.live != st.Live || c.live && (c.seq != st.Sent || len(c.direct)+len(c.copied) != st.Subscribers)) {
			return fmt.Errorf("%+v, want %+v", st, c)
		}
	}
	return s.Close()
}

func (op modelOp) run(s *earshot.Server, model *modelServer, handles []*earshot.Channel[int], p *modelPair) error {
	switch op.kind {
	case opSend:
		for range op.times {
			modelSend(s, op.name, op.event)
			model.send(op.name, op.event)
		}
	case opSendHandle:
		for range op.times {
			c := handles[op.n%2]
			c.Send(op.event.(int))
			model.send(c.Name(), op.event)
		}
	case opSubscribe, opPattern:
		var ref earshot.Ref
		var sub *modelSub
		var err, want error
		if op.kind == opSubscribe {
			ref, err = p.real.subscribe(op.name)
			sub, want = p.model.subscribe(op.name)
		} else {
			ref, err = p.real.SubscribePattern(op.name.(string))
			sub, want = p.model.subscribePattern(op.name.(string))
		}
		if !errors.Is(err, want) {
			return fmt.Errorf("got %v, want %v", err, want)
		}
		if err == nil {
			p.refs, p.subs = append(p.refs, ref), append(p.subs, sub)
		}
	case opUnsubscribe:
		if n := len(p.refs); n > 0 {
			if err := p.real.Unsubscribe(p.refs[op.n%n]); err != nil {
				return err
			}
			p.model.unsubscribe(p.subs[op.n%n])
		}
	case opReceive:
		for range op.times {
			got, ok := p.real.receive()
			want, some := p.model.receive()
			if err := p.same(got, want, ok, some); err != nil {
				return err
			}
		}
	case opLoop: // as many as there are, else it would wait
		var want []modelRecord
		for len(want) < op.times && slices.ContainsFunc(p.model.queue, func(r modelRecord) bool { return p.model.takes(r.event) }) {
			r, _ := p.model.receive()
			want = append(want, r)
		}
		if len(want) == 0 {
			return nil
		}
		for i, got := range p.real.loop(len(want)) {
			if err := p.same(got, want[i], true, true); err != nil {
				return err
			}
		}
	case opReady:
		if len(p.model.queue) > 0 {
			select {
			case <-p.real.Ready():
			default:
				return fmt.Errorf("not ready with %d waiting", len(p.model.queue))
			}
		}
	case opClose:
		p.real.Close()
		p.model.end(earshot.ErrClosed)
	case opListening:
		c := model.channels[op.name]
		want := c != nil && c.live || slices.ContainsFunc(model.patterns, func(sub *modelSub) bool { return modelMatch(sub.pattern, op.name) })
		if got := s.Listening(op.name); got != want {
			return fmt.Errorf("got %v, want %v", got, want)
		}
	case opStats:
		return p.compare()
	}
	return nil
}

func (p *modelPair) same(got modelMessage, want modelRecord, ok, some bool) error {
	if ok == some && (!ok || got.event == want.event && got.seq == want.seq && got.missed == want.missed &&
		got.ref == p.refs[slices.Index(p.subs, want.sub)]) {
		return nil
	}
	return fmt.Errorf("got %+v %v, want seq %d missed %d event %v %v", got, ok, want.seq, want.missed, want.event, some)
}

// compare compares the counters of a mailbox and of its subscriptions.
func (p *modelPair) compare() error {
	st, b := p.real.Stats(), p.model
	if err := p.real.Err(); !errors.Is(err, b.err) {
		return fmt.Errorf("Err = %v, want %v", err, b.err)
	}
	if len(st.Subscriptions) != len(b.subs) {
		return fmt.Errorf("%d subscriptions, want %d", len(st.Subscriptions), len(b.subs))
	}
	total := b.past
	for _, sub := range b.subs {
		total.add(sub.count)
		depth := 0
		for _, r := range b.queue {
			if r.sub == sub {
				depth++
			}
		}
		ref := p.refs[slices.Index(p.subs, sub)]
		i := slices.IndexFunc(st.Subscriptions, func(x earshot.SubscriptionStats) bool { return x.Ref == ref })
		if i < 0 {
			return fmt.Errorf("no statistics of %v", ref)
		}
		x := st.Subscriptions[i]
		if got := (modelCount{x.Offered, x.Received, x.Missed, x.Mismatched, x.Discarded}); got != sub.count || x.Depth != depth {
			return fmt.Errorf("%v: %+v depth %d, want %+v depth %d", ref, got, x.Depth, sub.count, depth)
		}
	}
	if got := (modelCount{st.Offered, st.Received, st.Missed, st.Mismatched, st.Discarded}); got != total || st.Depth != len(b.queue) {
		return fmt.Errorf("%+v depth %d, want %+v depth %d", got, st.Depth, total, len(b.queue))
	}
	return nil
}
