package earshot

import (
	"context"
	"time"
)

// The server's own channels. They are declared on every server, cost nothing while nobody listens, and
// say nothing about their own subscribers.
const (
	LifecycleChannel = "earshot.lifecycle" // events of type Lifecycle
	SlowChannel      = "earshot.slow"      // events of type Slow
)

// Lifecycle is what happened to a channel or a subscriber.
type Lifecycle struct {
	Kind       LifecycleKind
	Channel    any    // the channel's name, or the pattern's text; nil for a Failed of Spawn
	Ref        Ref    // of Subscribed and Left
	Subscriber string // the mailbox's name, or file:line of where it was made
	Site       string // file:line of the subscribe call, of Subscribed and Left
	Reason     error  // of Left and Failed
}

// LifecycleKind says what a [Lifecycle] event is about.
type LifecycleKind int

const (
	Opened     LifecycleKind = iota + 1 // a channel came to life
	Closed                              // a channel's last subscriber left
	Subscribed                          // a subscription began
	Left                                // a subscription ended
	Failed                              // a handler, spawned function or producer failed; it may be restarted
)

func (k LifecycleKind) String() string {
	names := [...]string{"unknown", "opened", "closed", "subscribed", "left", "failed"}
	if k < 1 || int(k) >= len(names) {
		k = 0
	}
	return names[k]
}

// Slow says that a subscriber has events waiting, or one in its hands, and has not got on for half a
// second or more; or that it has got on again.
type Slow struct {
	Ref        Ref
	Channel    any
	Subscriber string // the mailbox's name, or file:line of where it was made
	Site       string // file:line of the subscribe call
	Depth      int    // events waiting
	Missed     uint64 // events it has lost so far
	Running    time.Duration
	Recovered  bool
}

// Lifecycle returns the channel on which the server says who comes and goes.
func (s *Server) Lifecycle() *Channel[Lifecycle] { return s.lifecycle }

// Slow returns the channel on which the server names subscribers that do not keep up, within a second
// of their getting stuck. It watches for them only while somebody listens here.
func (s *Server) Slow() *Channel[Slow] { return s.slow }

// announceTopicLocked and announceSubLocked queue a lifecycle event, which is sent once mu is free, in
// order. They do nothing while nobody listens.
func (s *Server) announceTopicLocked(kind LifecycleKind, t *topic) {
	if !t.internal && s.lifecycle.Listening() {
		e := Lifecycle{Kind: kind, Channel: t.name}
		s.laterLocked(func() { s.lifecycle.Send(e) })
	}
}

func (s *Server) announceSubLocked(kind LifecycleKind, sub *subscription) {
	if !sub.internal() && s.lifecycle.Listening() {
		e := Lifecycle{
			Kind: kind, Channel: sub.name, Ref: Ref{sub}, Subscriber: sub.box.who(), Site: sub.at.String(), Reason: sub.reason,
		}
		s.laterLocked(func() { s.lifecycle.Send(e) })
	}
}

// internal reports whether a subscription is to the server's own channels.
func (sub *subscription) internal() bool {
	return sub.box.taps || sub.pattern != nil && sub.pattern.internal || ownName(sub.name)
}

func ownName(name any) bool { return name == any(LifecycleChannel) || name == any(SlowChannel) }

const (
	slowLook  = 200 * time.Millisecond // how often the watch looks
	slowAfter = 500 * time.Millisecond // without progress for so long is slow
)

// watchSlow runs while somebody listens to the slow channel.
func (s *Server) watchSlow(ctx context.Context) {
	type seen struct {
		progress uint64
		since    time.Time
		told     bool
		round    int
	}
	s.watching.Store(true)
	defer s.watching.Store(false)
	known := map[*subscription]*seen{}
	tick := time.NewTicker(slowLook)
	defer tick.Stop()
	for round := 0; ; round++ {
		now := time.Now()
		for _, sub := range s.watched() {
			st := s.look(sub)
			progress, busy := st.progress, st.busy
			k := known[sub]
			if k == nil {
				k = &seen{progress: progress, since: now}
				known[sub] = k
			}
			k.round = round
			stuck := busy && progress == k.progress
			tell := func(recovered bool) {
				s.slow.Send(Slow{
					Ref: Ref{sub}, Channel: sub.name, Subscriber: sub.box.who(), Site: sub.at.String(),
					Depth: st.depth, Missed: st.missed, Running: now.Sub(k.since), Recovered: recovered,
				})
			}
			if stuck && !k.told && now.Sub(k.since) >= slowAfter {
				k.told = true
				tell(false)
			} else if !stuck {
				if k.told {
					tell(true)
				}
				k.progress, k.since, k.told = progress, now, false
			}
		}
		for sub, k := range known {
			if k.round != round {
				delete(known, sub)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// watched returns the subscriptions that can be slow: all but those to the server's own channels.
func (s *Server) watched() (subs []*subscription) {
	s.mu.Lock()
	defer s.unlock()
	for b := s.boxes; b != nil; b = b.next {
		for _, sub := range b.subs {
			if !sub.internal() {
				subs = append(subs, sub)
			}
		}
	}
	return subs
}

// A look is what the watch wants to know of a subscription, without what is for people: finding a file and
// line for each of ten thousand five times a second would be work.
type look struct {
	progress uint64 // grows when it gets on
	busy     bool   // it has events waiting or in hand
	depth    int
	missed   uint64
}

func (s *Server) look(sub *subscription) (l look) {
	s.mu.Lock()
	defer s.unlock()
	t, n := sub.tallyLocked()
	l = look{progress: t.received, busy: n > 0 || len(sub.box.busy()) > 0, depth: n, missed: t.missed}
	if p := sub.box.process; p != nil {
		l.progress += p.turns.Load()
	}
	return l
}
