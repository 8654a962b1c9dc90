package main

import (
	"context"
	"flag"
	"net/url"
	"strconv"
	"strings"
	"time"
)

var tapCommand = &command{
	name: "tap", args: "[FILTER]", summary: "the events, as they are sent, with an account of those left out",
	maxArgs: -1, dashArgs: isFilterTerm,
	doc: "Filter: chan:orders.* type:OrderPaid amount>100 \"some text\" /re/ err 1/10 -chan:debug.*\n" +
		"Payloads are there if the program permits them. Notices and the last line go to stderr.",
	examples: []example{
		{"earshot tap 'chan:orders.* amount>100'", "quote it: the shell knows > and * too"},
		{"earshot tap -t --count 10", "the next ten, with their time"},
		{"earshot tap --json --for 1m > events.ndjson", "a minute of all there is, to keep"},
	},
	setup: func(a *app, fs *flag.FlagSet) func(context.Context, []string) error {
		t := &listener{app: a}
		fs.BoolVar(&t.time, "t", false, "show each event's time")
		fs.BoolVar(&t.delta, "d", false, "show the time since the event before")
		fs.Uint64Var(&t.count, "count", 0, "stop after `N` events")
		fs.DurationVar(&t.limit, "for", 0, "stop after this `TIME`, as 10s")
		fs.DurationVar(&t.idle, "until-idle", 0, "stop when no event has come for this `TIME`")
		fs.StringVar(&t.rate, "rate", "", "at most so many: `N/s`, N/m or N/h; the rest is shed, and counted")
		fs.BoolVar(&t.strict, "strict", false, "exit with 5 if events were shed")
		return func(ctx context.Context, args []string) error {
			if t.limit < 0 || t.idle < 0 {
				return usage("a time must not be negative")
			}
			return t.run(ctx, strings.Join(args, " "))
		}
	},
}

// isFilterTerm reports whether an argument that begins with a dash is a term that the dash negates.
func isFilterTerm(arg string) bool {
	return !strings.HasPrefix(arg, "--") && strings.ContainsAny(arg, `:<>=~"/ `)
}

// A listener prints a stream.
type listener struct {
	*app
	time, delta, strict bool
	count               uint64
	limit, idle         time.Duration
	rate                string

	print   printer
	account account
	nagger  nagger // tells of shed events
	end     string // what the server gave as its reason
}

func (t *listener) run(ctx context.Context, filter string) error {
	c, err := t.client()
	if err != nil {
		return err
	}
	defer c.close()
	q := url.Values{}
	if filter != "" {
		q.Set("filter", filter)
	}
	if t.rate != "" {
		q.Set("rate", t.rate)
	}
	if t.count > 0 {
		q.Set("count", strconv.FormatUint(t.count, 10))
	}
	s, err := c.open(ctx, q)
	if err != nil {
		return err
	}
	defer s.close()
	t.print = newPrinter(t)
	err = t.follow(ctx, s)
	if flushed := t.print.flush(); err == nil {
		err = flushed
	}
	t.notef("[tap] %s", t.account.String())
	if t.account.gaps > 0 {
		t.notef("[tap] %s not counted there: the server does not know what was sent in them", plural(t.account.gaps, "gap"))
	}
	if err == nil && t.strict && (t.account.shed() > 0 || t.account.gaps > 0) {
		err = fail(exitIncomplete, "a narrower filter, or a higher --rate, sheds less", "incomplete: %s events were shed", grouped(strconv.FormatUint(t.account.shed(), 10)))
	}
	return err
}

// follow prints frames until there is a reason to stop.
func (t *listener) follow(ctx context.Context, s *stream) error {
	limit, idle := newAlarm(t.limit), newAlarm(t.idle)
	silent := newAlarm(silence)
	defer limit.stop()
	defer idle.stop()
	defer silent.stop()
	for {
		if len(s.frames) == 0 {
			// Nothing more at the moment: what is printed may be looked at.
			if err := t.print.flush(); err != nil {
				return err
			}
		}
		var f frame
		var ok bool
		select {
		case f, ok = <-s.frames:
		case <-limit.c:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-idle.c:
			if len(s.frames) == 0 { // or it is we who were not there, as after Ctrl-Z
				return nil
			}
			idle.reset(time.Millisecond)
			continue
		case <-silent.c:
			if len(s.frames) == 0 {
				return fail(exitFailed, "the program, or the way to it, is gone or stopped", "nothing has come from the server for %v", silence)
			}
			continue
		}
		if !ok {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return t.ended(s)
		}
		silent.reset(silence)
		if f.Channel != nil {
			idle.reset(t.idle)
		}
		if err := t.frame(f); err != nil {
			return err
		}
		if t.count > 0 && t.account.shown == t.count {
			return t.rest(s)
		}
	}
}

// rest waits a moment for the counts with which the server ends a stream that is complete, so that the
// last line has them. A server that does not end it is not waited for.
func (t *listener) rest(s *stream) error {
	patience := time.NewTimer(300 * time.Millisecond)
	defer patience.Stop()
	for {
		select {
		case f, ok := <-s.frames:
			if !ok {
				return nil
			}
			if f.Stats != nil {
				t.account.stats(*f.Stats)
				return nil
			}
		case <-patience.C:
			return nil
		}
	}
}

func (t *listener) frame(f frame) error {
	switch {
	case f.Stats != nil:
		if p := f.Stats.Payloads; p != nil && !*p && !t.account.known {
			t.notef("[tap] payloads are hidden: the program does not permit you to see them")
		}
		t.account.stats(*f.Stats)
	case f.Gap != nil:
		t.account.gap()
		missed := "an unknown number of events"
		if f.Gap.Missed != nil {
			missed = plural(*f.Gap.Missed, "event")
		}
		t.notef("[tap] gap, %s: %s", missed, clean(f.Gap.Reason))
	case f.End != nil:
		t.end = f.End.Reason
	case f.Channel != nil:
		t.account.record(f.Missed)
		if err := t.print.record(f); err != nil {
			return err
		}
	}
	if shed := t.account.shed(); t.nagger.now(shed, t.now()) {
		t.notef("[tap] %s shed so far", grouped(strconv.FormatUint(shed, 10)))
	}
	return nil
}

// ended says how a stream ended that nobody here has ended.
func (t *listener) ended(s *stream) error {
	switch {
	case s.err != nil:
		return s.err
	case t.end == "":
		return fail(exitFailed, "the program has ended, or something between here and there limits how long a response may take",
			"the server closed the stream without saying why")
	case t.count > 0 && t.account.shown < t.count:
		return fail(exitFailed, "", "only %s of %d came: the server ended the stream: %s", plural(t.account.shown, "event"), t.count, t.end)
	}
	t.notef("[tap] the server ended the stream: %s", clean(t.end))
	return nil
}

// An alarm is a timer that may be off.
type alarm struct {
	timer *time.Timer
	c     <-chan time.Time
}

func newAlarm(d time.Duration) *alarm {
	if d <= 0 {
		return &alarm{}
	}
	t := time.NewTimer(d)
	return &alarm{t, t.C}
}

func (a *alarm) reset(d time.Duration) {
	if a.timer != nil {
		a.timer.Reset(d)
	}
}

func (a *alarm) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
}
