package tap

import (
	"slices"
	"sync"
	"time"

	"github.com/earshot-go/earshot"
)

// An observer looks at a server's counters and remembers what it saw. That tells what no counter does: how
// many events come in a second, when the last one did, how long the oldest has been waiting. It looks only
// when somebody asks.
type observer struct {
	mu       sync.Mutex // guards the fields below
	channels map[any]*seenChannel
	subs     map[earshot.Ref]*seenSub
}

type seenChannel struct {
	now    uint64 // sent as of the last look
	sent   uint64 // as of since: rates are counted from here
	since  time.Time
	rate   float64
	rated  bool
	last   time.Time // when now was last seen to have grown
	looked time.Time
}

type seenSub struct {
	seenChannel           // of what it missed
	points      []waiting // while it has a backlog
}

// waiting says that by a time so many events had come in.
type waiting struct {
	at   time.Time
	came uint64
}

const (
	rateOver   = 500 * time.Millisecond // shorter times make poor rates
	rateStale  = 10 * time.Second       // longer ones make old news
	mostPoints = 32
)

type channelRow struct {
	earshot.ChannelStats
	rate, last any // nil if unknown
}

type subRow struct {
	earshot.SubscriptionStats
	losing any           // events missed a second; nil if unknown
	oldest time.Duration // at least; 0 if nothing waits
}

// look returns the server's state.
func (o *observer) look(s *earshot.Server) (channels []channelRow, subs []subRow) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if o.channels == nil {
		o.channels, o.subs = map[any]*seenChannel{}, map[earshot.Ref]*seenSub{}
	}
	for c := range s.Channels() {
		k := o.channels[c.Name]
		if k == nil {
			k = &seenChannel{now: c.Sent, sent: c.Sent, since: now}
			o.channels[c.Name] = k
		}
		k.look(c.Sent, now)
		row := channelRow{ChannelStats: c, rate: k.known()}
		if !k.last.IsZero() {
			row.last = k.last
		}
		channels = append(channels, row)
	}
	for st := range s.Subscriptions() {
		k := o.subs[st.Ref]
		if k == nil {
			k = &seenSub{seenChannel: seenChannel{now: st.Missed, sent: st.Missed, since: now}}
			o.subs[st.Ref] = k
		}
		k.look(st.Missed, now)
		subs = append(subs, subRow{SubscriptionStats: st, losing: k.known(), oldest: k.oldest(st, now)})
	}
	for name, k := range o.channels {
		if k.looked != now {
			delete(o.channels, name)
		}
	}
	for ref, k := range o.subs {
		if k.looked != now {
			delete(o.subs, ref)
		}
	}
	return channels, subs
}

func (k *seenChannel) look(sent uint64, now time.Time) {
	k.looked = now
	if sent < k.now { // it came to life again, who knows when
		k.now, k.sent, k.since, k.rated = 0, sent, now, false
	}
	if sent > k.now {
		k.now, k.last = sent, now
	}
	switch d := now.Sub(k.since); {
	case d > rateStale:
		k.rated = false
		k.sent, k.since = sent, now
	case d >= rateOver:
		k.rate, k.rated = float64(sent-k.sent)/d.Seconds(), true
		k.sent, k.since = sent, now
	}
}

func (k *seenChannel) known() any {
	if !k.rated {
		return nil
	}
	return k.rate
}

// oldest returns for how long, at least, the oldest event that waits has been waiting: it was there at the
// first look at which as many had come in.
func (k *seenSub) oldest(st earshot.SubscriptionStats, now time.Time) time.Duration {
	if st.Depth == 0 {
		k.points = nil
		return 0
	}
	came := st.Offered
	if st.Overflow == earshot.DropNewest {
		came -= st.Missed // those never waited
	}
	number := came - uint64(st.Depth) + 1
	first := slices.IndexFunc(k.points, func(p waiting) bool { return p.came >= number })
	if first < 0 {
		first = len(k.points)
	}
	k.points = append(k.points[first:], waiting{now, came})
	if len(k.points) > mostPoints { // thinner: the first one is what counts
		kept := k.points[:1]
		for i := 2; i < len(k.points); i += 2 {
			kept = append(kept, k.points[i])
		}
		k.points = kept
	}
	return now.Sub(k.points[0].at)
}

// forget lets go of everything.
func (o *observer) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.channels, o.subs = nil, nil
}
