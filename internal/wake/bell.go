// Package wake is how the stores of package queue wait: it remembers for each queue when it is worthwhile to look for
// items again, so that nobody has to ask the engine while nothing happens.
package wake

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"
)

// ErrClosed is the cause with which Wait returns after Close, unless another was given.
var ErrClosed = errors.New("closed")

// A Bell knows of each queue the earliest time at which there may be something to lease, by the clock of this process.
// Its methods may be called from many goroutines; all but Wait return at once.
//
// A store rings when it learns that something becomes due: by its own Enqueue, Settle and Redrive, and by what it hears
// of other processes. When Lease has found less than it was asked for, it tells with Sleep when the queue's next item
// is due; what rang in between counts more.
type Bell struct {
	mu     sync.Mutex // guards the fields below
	queues map[string]*line
	closed error
}

// A line is what is known of one queue. It stays for as long as the bell: queues are few.
type line struct {
	next    moment                 // when it is worthwhile to look; at first that is now
	mark    uint64                 // how often somebody has begun to look
	since   moment                 // the earliest that was rung for since the last of them began
	waiters map[chan struct{}]bool // told when next becomes earlier; each has room for one
}

// A moment is a time, or never.
type moment struct {
	at    time.Time
	never bool
}

func (m moment) before(other moment) bool {
	return !m.never && (other.never || m.at.Before(other.at))
}

// New returns a bell. Of a queue it has not heard of, it says that looking is worthwhile.
func New() *Bell { return &Bell{queues: map[string]*line{}} }

func (b *Bell) lineLocked(queue string) *line {
	l := b.queues[queue]
	if l == nil {
		l = &line{waiters: map[chan struct{}]bool{}}
		b.queues[queue] = l
	}
	return l
}

// Ring says that an item of the queue is due in the time given, 0 or less being now.
func (b *Bell) Ring(queue string, in time.Duration) {
	at := time.Now().Add(in)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lineLocked(queue).ring(at)
}

// RingAll says that anything may be due in any queue, as after a connection was lost.
func (b *Bell) RingAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.queues {
		l.ring(time.Time{})
	}
}

func (l *line) ring(at time.Time) {
	m := moment{at: at}
	if m.before(l.since) {
		l.since = m
	}
	if m.before(l.next) {
		l.next = m
		l.tell()
	}
}

func (l *line) tell() {
	for w := range l.waiters {
		select {
		case w <- struct{}{}:
		default: // it was told and has not looked yet
		}
	}
}

// Marks are a look that has begun; see Mark.
type Marks struct {
	queues []string
	marks  []uint64
}

// Mark is to be called before a store looks for items of queues, and what it returns given to Sleep afterwards, if the
// look has found all there is.
func (b *Bell) Mark(queues []string) Marks {
	m := Marks{queues: queues, marks: make([]uint64, len(queues))}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, q := range queues {
		l := b.lineLocked(q)
		l.mark++
		l.since = moment{never: true}
		m.marks[i] = l.mark
	}
	return m
}

// Sleep says that a look has found all that was due, and that nothing more becomes due before the time given has passed;
// a negative one is never. What somebody rang for since Mark counts as well.
func (b *Bell) Sleep(m Marks, in time.Duration) {
	found := moment{at: time.Now().Add(in), never: in < 0}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, q := range m.queues {
		l := b.lineLocked(q)
		next := found
		if l.since.before(next) {
			next = l.since
		}
		// Only the look that has begun last knows all that was rung for since. An earlier one may make it sooner,
		// and not later.
		sooner := next.before(l.next)
		if sooner || l.mark == m.marks[i] {
			l.next = next
		}
		if sooner {
			l.tell()
		}
	}
}

// Waiting returns the queues that somebody waits for, for a store that has to ask its engine now and then.
func (b *Bell) Waiting() (queues []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for q, l := range b.queues {
		if len(l.waiters) > 0 {
			queues = append(queues, q)
		}
	}
	return queues
}

// Wait blocks until it is worthwhile to look at one of the queues, ctx ends, or the bell is closed; of the latter two it
// returns the cause.
func (b *Bell) Wait(ctx context.Context, queues []string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	told := make(chan struct{}, 1)
	b.enter(queues, told)
	defer b.leave(queues, told)
	for {
		in, err := b.look(queues)
		if in == 0 || err != nil {
			return err
		}
		if err := sleep(ctx, in, told); err != nil {
			return err
		}
	}
}

func (b *Bell) enter(queues []string, told chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, q := range queues {
		b.lineLocked(q).waiters[told] = true
	}
}

func (b *Bell) leave(queues []string, told chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, q := range queues {
		delete(b.lineLocked(q).waiters, told)
	}
}

// look returns in which time it is worthwhile to look at one of the queues: 0 is now, negative never.
func (b *Bell) look(queues []string) (in time.Duration, err error) {
	now := time.Now()
	in = -1
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed != nil {
		return 0, b.closed
	}
	for _, q := range queues {
		if l := b.lineLocked(q); !l.next.never {
			if rest := max(0, l.next.at.Sub(now)); in < 0 || rest < in {
				in = rest
			}
		}
	}
	return in, nil
}

func sleep(ctx context.Context, in time.Duration, told <-chan struct{}) error {
	var timeout <-chan time.Time
	if in > 0 {
		timer := time.NewTimer(in)
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-told:
	case <-timeout:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// Close makes Wait return the cause, or ErrClosed.
func (b *Bell) Close(cause error) {
	if cause == nil {
		cause = ErrClosed
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed == nil {
		b.closed = cause
	}
	for _, l := range b.queues {
		l.tell()
	}
}

// Patrol asks the engine once in a while, as long as somebody waits, in which time the next item of the queues that are
// waited for is due, negative being never: for what the store was not told of, as what other processes enqueue on an
// engine that does not tell, and for clocks that were set. It returns when ctx ends.
func (b *Bell) Patrol(ctx context.Context, every time.Duration, next func(context.Context, []string) (time.Duration, error)) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		queues := b.Waiting()
		if len(queues) == 0 {
			continue
		}
		in, err := next(ctx, queues)
		if err != nil {
			in = 0 // who looks finds out what it is
		}
		if in >= 0 && in < every {
			for _, q := range queues {
				b.Ring(q, in)
			}
		}
	}
}

// In makes of microseconds what Ring and Sleep take, whatever their number: what is over is 0, and what is centuries
// away is as far as a Duration reaches.
func In(micros int64) time.Duration {
	return time.Duration(min(max(micros, 0), math.MaxInt64/1000)) * time.Microsecond
}
