package earshot_test

import (
	"slices"
	"strings"

	"github.com/earshot-go/earshot"
)

// The model is what the package does, for one goroutine and with no thought of speed: every event is
// boxed, and copied to everybody.

type modelServer struct {
	channels map[any]*modelChannel
	patterns []*modelSub
}

type modelChannel struct {
	name     any
	declared bool
	replay   int
	live     bool
	seq      uint64
	kept     []modelRecord // to replay
	direct   []*modelSub   // of mailboxes with one subscription
	copied   []*modelSub   // the others; in the order in which they get their copies
}

type modelRecord struct {
	sub         *modelSub
	channel     *modelChannel
	seq, missed uint64
	event       any
}

type modelBox struct {
	srv      *modelServer
	takes    func(event any) bool
	typed    any // a value of the only type it takes, nil if it takes all
	capacity int
	overflow earshot.Overflow
	many     bool // it has had several subscriptions, or a pattern, or it is DropNewest, or typed on a channel that may have other types
	queue    []modelRecord
	subs     []*modelSub
	past     modelCount
	err      error
}

type modelSub struct {
	box     *modelBox
	pattern string
	count   modelCount
	lost    uint64
	ended   bool
}

type modelCount struct{ offered, received, missed, mismatched, discarded uint64 }

func (c *modelCount) add(o modelCount) {
	c.offered, c.received, c.missed = c.offered+o.offered, c.received+o.received, c.missed+o.missed
	c.mismatched, c.discarded = c.mismatched+o.mismatched, c.discarded+o.discarded
}

func (s *modelServer) declare(name any, replay int) {
	s.channels[name] = &modelChannel{name: name, declared: true, replay: replay, live: replay > 0}
}

func (s *modelServer) send(name, event any) {
	c := s.channels[name]
	if c == nil && slices.ContainsFunc(s.patterns, func(p *modelSub) bool { return modelMatch(p.pattern, name) }) {
		c = s.open(name)
	}
	if c == nil || !c.live {
		return
	}
	for _, sub := range slices.Concat(c.direct, c.copied) {
		if b := sub.box; b.overflow == earshot.Evict && len(b.queue) >= b.capacity {
			b.end(earshot.ErrTooSlow)
		}
	}
	if !c.live {
		return
	}
	c.seq++
	r := modelRecord{channel: c, seq: c.seq, event: event}
	c.kept = append(c.kept, r)
	c.kept = c.kept[max(0, len(c.kept)-c.replay):]
	for _, sub := range slices.Concat(c.direct, c.copied) {
		sub.push(r)
	}
}

func (sub *modelSub) push(r modelRecord) {
	b := sub.box
	r.sub = sub
	if b.many && !b.takes(r.event) { // a mailbox with one subscription finds out when it reads
		sub.count.mismatched++
		return
	}
	sub.count.offered++
	drop := -1
	switch {
	case b.overflow == earshot.Latest:
		drop = slices.IndexFunc(b.queue, func(o modelRecord) bool { return o.sub == sub && o.channel == r.channel })
	case b.overflow == earshot.DropOldest && len(b.queue) >= b.capacity:
		drop = 0
	case b.overflow == earshot.DropNewest && len(b.queue) >= b.capacity:
		sub.count.missed++
		sub.lost++
		return
	case b.overflow == earshot.DropNewest:
		r.missed, sub.lost = sub.lost, 0
	}
	if drop >= 0 {
		old := b.queue[drop]
		old.sub.count.missed++
		if b.overflow == earshot.Latest && b.many {
			r.missed = old.missed + 1
		} else {
			old.sub.lost += 1 + old.missed
		}
		b.queue = slices.Delete(b.queue, drop, drop+1)
	}
	b.queue = append(b.queue, r)
}

func (s *modelServer) open(name any) *modelChannel {
	c := s.channels[name]
	if c == nil {
		c = &modelChannel{name: name}
		s.channels[name] = c
	}
	if !c.live {
		c.live, c.seq = true, 0
		for _, p := range s.patterns {
			if modelMatch(p.pattern, name) {
				c.copied = append(c.copied, p)
			}
		}
	}
	return c
}

func (b *modelBox) subscribe(name any) (*modelSub, error) {
	if b.err != nil {
		return nil, b.err
	}
	c := b.srv.open(name)
	// The declared channels are for integers; others may have any type.
	mixed := b.typed != nil && (!c.declared || b.typed != any(0))
	if len(b.subs) > 0 || b.overflow == earshot.DropNewest || mixed {
		b.toMany()
	}
	sub := &modelSub{box: b}
	b.subs = append(b.subs, sub)
	if b.many {
		c.copied = append(c.copied, sub)
	} else {
		c.direct = append(c.direct, sub)
	}
	sub.replay(c)
	return sub, nil
}

func (sub *modelSub) replay(c *modelChannel) {
	n := len(c.kept)
	if sub.box.many || sub.box.overflow != earshot.Unbounded {
		n = min(n, sub.box.capacity)
	}
	for _, r := range c.kept[len(c.kept)-n:] {
		sub.push(r)
	}
}

func (b *modelBox) subscribePattern(pattern string) (*modelSub, error) {
	if b.err != nil {
		return nil, b.err
	}
	b.toMany()
	sub := &modelSub{box: b, pattern: pattern}
	b.subs = append(b.subs, sub)
	for _, c := range b.srv.channels {
		if modelMatch(pattern, c.name) {
			b.srv.open(c.name)
			c.copied = append(c.copied, sub)
			sub.replay(c)
		}
	}
	b.srv.patterns = append(b.srv.patterns, sub)
	return sub, nil
}

// toMany makes the mailbox one that gets copies, of what is of its type.
func (b *modelBox) toMany() {
	if b.many {
		return
	}
	b.many = true
	for _, c := range b.srv.channels {
		if i := slices.IndexFunc(c.direct, func(sub *modelSub) bool { return sub.box == b }); i >= 0 {
			sub := c.direct[i]
			c.direct, c.copied = modelRemove(c.direct, sub), append(c.copied, sub)
		}
	}
	b.queue = slices.DeleteFunc(b.queue, func(r modelRecord) bool { return !b.takes(r.event) && r.sub.mismatch() })
}

func (sub *modelSub) mismatch() bool {
	sub.count.offered--
	sub.count.mismatched++
	return true
}

func (b *modelBox) receive() (r modelRecord, ok bool) {
	for len(b.queue) > 0 {
		r, b.queue = b.queue[0], b.queue[1:]
		if !b.takes(r.event) {
			r.sub.mismatch()
			continue
		}
		r.sub.count.received++
		if b.overflow != earshot.DropNewest {
			r.missed += r.sub.lost
			r.sub.lost = 0
		}
		return r, true
	}
	return modelRecord{}, false
}

func (b *modelBox) unsubscribe(sub *modelSub) {
	if sub.ended {
		return
	}
	sub.ended = true
	b.subs = modelRemove(b.subs, sub)
	b.srv.patterns = slices.DeleteFunc(b.srv.patterns, func(o *modelSub) bool { return o == sub })
	b.queue = slices.DeleteFunc(b.queue, func(r modelRecord) bool {
		if r.sub == sub {
			sub.count.discarded++
		}
		return r.sub == sub
	})
	b.past.add(sub.count)
	for name, c := range b.srv.channels {
		had := len(c.direct) + len(c.copied)
		c.direct, c.copied = modelRemove(c.direct, sub), modelRemove(c.copied, sub)
		if had > 0 && len(c.direct)+len(c.copied) == 0 && c.replay == 0 {
			c.live, c.kept = false, nil
			if !c.declared {
				delete(b.srv.channels, name)
			}
		}
	}
}

func (b *modelBox) end(reason error) {
	if b.err == nil {
		b.err = reason
		for len(b.subs) > 0 {
			b.unsubscribe(b.subs[len(b.subs)-1])
		}
	}
}

// modelRemove has the last one take the place of the one removed. In which order a mailbox with two
// subscriptions to a channel gets their copies of an event is not promised, but it can be seen.
func modelRemove(list []*modelSub, sub *modelSub) []*modelSub {
	i, last := slices.Index(list, sub), len(list)-1
	if i < 0 {
		return list
	}
	list[i] = list[last]
	return list[:last]
}

func modelMatch(pattern string, name any) bool {
	text, ok := name.(string)
	if !ok {
		return false
	}
	want, got := strings.Split(pattern, "."), strings.Split(text, ".")
	for i, w := range want {
		if i >= len(got) || w != "**" && w != "*" && w != got[i] {
			return false
		}
		if w == "**" {
			return true
		}
	}
	return len(want) == len(got)
}
