package queue

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/earshot-go/earshot/internal/cron"
)

// A Schedule publishes an event again and again.
type Schedule struct {
	// Name tells schedules apart: processes that have a schedule of the same name share it.
	Name string
	// Spec says when: "*/15 9-17 * * MON-FRI", with seconds "0 0 3 * * *", "TZ=Europe/Berlin 30 8 * * *", "@daily",
	// "@every 90s". Without TZ it is UTC. A local time that is left out when clocks are put forward fires just after
	// that, one that comes twice fires once; schedules for every hour go by real time. "earshot queue cron next" shows
	// the ticks of a spec.
	Spec string
	// Event is what is published at each tick. ID, Key, Hold and When are set by the schedule, and so is the header
	// HeaderTick.
	Event Event
	// Missed says what becomes of ticks at which no process was there.
	Missed Missed
}

// Missed says what becomes of ticks that nobody was there for. Those for which a process is there, and the store is
// not, are published late in any case, until the next one.
type Missed int

const (
	// SkipMissed forgets them.
	SkipMissed Missed = iota
	// RunMissed publishes the latest one, once, when a process is there again; also when the schedule is new.
	RunMissed
)

// HeaderTick is the header with the time of the tick, in RFC 3339, of what a schedule has published.
const HeaderTick = "earshot-tick"

const (
	cronLate = time.Minute // how late a tick may be noticed and is not yet missed
	cronLook = time.Hour   // how often the store's clock is looked at again while the next tick is far
	cronNap  = time.Minute // how often this process's is: a timer is late by the time that a process was suspended
	cronAsk  = 5 * time.Second
)

// A cronJob is a schedule at work.
type cronJob struct {
	q        *Queue
	schedule Schedule
	spec     *cron.Schedule
	ctx      context.Context
	stop     context.CancelFunc
	ahead    time.Duration // what the store's clock is ahead of this process's
}

// Cron has a schedule at work until Drain or Close. Any number of processes may have it: of each tick every bound queue
// gets one item, since it holds a key that names schedule and tick for two periods and an hour. Ticks go by the
// store's clock. Cron does not block; a Spec that cannot be read, and a name that this Queue has already, are errors
// that wrap ErrInvalid; a store without Caps.Unique is ErrUnsupported.
func (q *Queue) Cron(s Schedule) error {
	spec, err := cron.Parse(s.Spec)
	if err != nil {
		return fmt.Errorf("queue: schedule %.40q: %w: %w", s.Name, ErrInvalid, err)
	}
	if err := checkName("the name of a schedule", s.Name, true); err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	if ev := s.Event; ev.ID != "" || ev.Key != "" || ev.Hold != 0 || ev.Replace || ev.Once != (Once{}) || ev.When != nil {
		return fmt.Errorf("queue: schedule %.40q: %w: the event has an ID, Key, Hold, Replace, Once or When, which the schedule sets", s.Name, ErrInvalid)
	}
	if s.Missed != SkipMissed && s.Missed != RunMissed {
		return fmt.Errorf("queue: schedule %.40q: %w: Missed %d is unknown", s.Name, ErrInvalid, s.Missed)
	}
	c := &cronJob{q: q, schedule: s, spec: spec}
	if _, err := q.prepare([]Event{c.event(time.Now(), time.Minute)}); err != nil {
		return fmt.Errorf("queue: schedule %.40q: %w", s.Name, err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.drained {
		return q.closedError()
	}
	for _, other := range q.crons {
		if other.schedule.Name == s.Name {
			return fmt.Errorf("queue: schedule %.40q: %w: there is one of this name", s.Name, ErrInvalid)
		}
	}
	c.ctx, c.stop = context.WithCancel(q.ctx)
	q.crons = append(q.crons, c)
	q.running.Go(c.run) // ends with Drain
	return nil
}

// event returns the event of a tick.
func (c *cronJob) event(tick time.Time, period time.Duration) Event {
	ev := c.schedule.Event
	at := tick.UTC().Format(time.RFC3339)
	ev.ID = digest("cron", c.schedule.Name, at)
	ev.Key = "cron " + digest(c.schedule.Name) + "@" + at
	ev.Hold = min(2*period+time.Hour, MaxDelay)
	ev.Headers = maps.Clone(ev.Headers)
	if ev.Headers == nil {
		ev.Headers = map[string]string{}
	}
	ev.Headers[HeaderTick] = at
	return ev
}

func (c *cronJob) run() {
	began := time.Now()
	if !c.begin() {
		return
	}
	last := c.now() // ticks up to this one have been seen to
	if tick := c.spec.Last(last); !tick.IsZero() && (c.schedule.Missed == RunMissed || tick.After(began.Add(c.ahead))) {
		// If it was published, its key is held: then this changes nothing.
		c.publish(tick)
	}
	for {
		next := c.spec.Next(last)
		if next.IsZero() {
			return // in the year 10000
		}
		if !c.sleepUntil(next) {
			return
		}
		now := c.now()
		last = next
		if latest := c.spec.Last(now); latest.After(next) {
			last = latest // this process was suspended, or its store was away
		}
		if now.Sub(last) <= cronLate || c.schedule.Missed == RunMissed {
			c.publish(last)
		}
	}
}

// ask asks the store for its time, and remembers what this process's clock differs by.
func (c *cronJob) ask() error {
	clock, ok := c.q.store.(Clock)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.ctx, cronAsk) // a store that is silent does not keep a tick from being noticed
	defer cancel()
	now, err := clock.Now(ctx)
	if err != nil {
		if c.ctx.Err() == nil {
			c.q.fault("tell the time for schedule "+c.schedule.Name, err)
		}
		return err
	}
	c.ahead = time.Until(now)
	return nil
}

// now returns the time of the store as it was asked for last. So a store that is away does not make a tick a missed one.
func (c *cronJob) now() time.Time { return time.Now().Add(c.ahead) }

// begin asks for the time until the store has told it once. It reports false when the schedule has ended.
func (c *cronJob) begin() bool {
	for trouble := 1; c.ask() != nil; trouble++ {
		if !sleep(c.ctx, storeBackoff(trouble)) {
			return false
		}
	}
	return c.ctx.Err() == nil
}

// sleepUntil returns when it is that time by the store's clock. It reports false when the schedule has ended.
func (c *cronJob) sleepUntil(tick time.Time) bool {
	for asked := time.Now(); ; {
		rest := tick.Sub(c.now())
		if rest <= 0 {
			return c.ctx.Err() == nil
		}
		if !sleep(c.ctx, min(rest, cronNap)) {
			return false
		}
		if rest <= cronNap || time.Since(asked) >= cronLook {
			asked = time.Now()
			_ = c.ask() // without an answer it is as it was
		}
	}
}

// publish publishes the event of a tick. It tries until the next one.
func (c *cronJob) publish(tick time.Time) {
	next := c.spec.Next(tick)
	ev := c.event(tick, next.Sub(tick))
	ctx, cancel := context.WithTimeout(c.ctx, max(next.Sub(c.now()), time.Second))
	defer cancel()
	for trouble := 1; ; trouble++ {
		err := c.q.Publish(ctx, ev)
		if err == nil || c.ctx.Err() != nil {
			return
		}
		c.q.fault("publish the tick of schedule "+c.schedule.Name, err)
		if errors.Is(err, ErrInvalid) || errors.Is(err, ErrTooLarge) || !sleep(ctx, storeBackoff(trouble)) {
			return // or it is the next one's turn
		}
	}
}
