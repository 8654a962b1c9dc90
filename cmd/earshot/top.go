package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/term"
)

var topCommand = &command{
	name: "top", args: "[channels|subscribers|slow|PANEL]", summary: "full screen: who sends, who listens, who is behind",
	maxArgs: 1, choices: []string{"channels", "subscribers", "slow"},
	doc: "Keys: c s l (or tab) channels, subscribers, slow · left right sort by another column · r reverse\n" +
		"      space pause · j k PgUp PgDn scroll · q quit. --json and -o - write one snapshot.",
	examples: []example{
		{"earshot top", "channels, the busiest first"},
		{"earshot top subscribers --sort -depth", "who is furthest behind"},
		{"earshot top -o - | head -20", "one snapshot, for a script or a report"},
	},
	setup: func(a *app, fs *flag.FlagSet) func(context.Context, []string) error {
		t := &top{app: a}
		fs.StringVar(&t.output, "o", "", "write one snapshot to this `FILE`, - for stdout, and end")
		fs.StringVar(&t.sort, "sort", "", "sort by this `COLUMN`, as --json names it; -COLUMN for the largest first")
		fs.DurationVar(&t.every, "every", time.Second, "how often to look")
		return func(ctx context.Context, args []string) error {
			t.what = "channels"
			if len(args) > 0 {
				t.what = args[0]
			}
			switch {
			case !isPageName(t.what):
				return usage("\"%s\" is no name of a page: channels, subscribers, slow, or a panel's", clean(t.what))
			case t.every < 100*time.Millisecond:
				return usage("--every %v is too often: 100ms is the least", t.every)
			}
			return t.run(ctx)
		}
	},
}

// A top is the state of the full screen.
type top struct {
	*app
	output string
	every  time.Duration
	what   string // which page's first table is shown
	sort   string // by which column, with - the largest first; empty: by defaultSort

	screen   screen
	shot     *snapshot // the latest
	trouble  string    // why there is no newer one
	paused   bool
	offset   int // rows scrolled away
	lastSeen time.Time
}

// A snapshot is what is looked at in one moment.
type snapshot struct {
	what     string
	overview *page
	page     *page
	err      error
}

func (t *top) run(ctx context.Context) error {
	c, err := t.client()
	if err != nil {
		return err
	}
	defer c.close()
	once := t.output != "" || t.json
	in, isFile := t.in.(*os.File)
	if !once && (!t.term.out || !isFile || !term.IsTerminal(int(in.Fd()))) {
		return fail(exitUsage, "\"earshot top -o -\" writes one snapshot", "needs a terminal, for keys and for the screen")
	}
	// With rates from the first look, and before the screen changes: what fails now is said as usual.
	t.take(t.look(ctx, c, t.what, url.Values{"over": {observe}}))
	if err := t.shot.err; err != nil {
		return err
	}
	if once {
		return t.writeSnapshot()
	}
	t.screen = screen{in: in, out: t.out}
	defer t.screen.leave() // also when we panic, before the trace is printed
	if err := t.screen.enter(); err != nil {
		return err
	}
	return t.loop(ctx, c)
}

// look fetches both pages.
func (t *top) look(ctx context.Context, c *client, what string, q url.Values) *snapshot {
	testPlant("look")
	s := &snapshot{what: what}
	if s.overview, s.err = c.get(ctx, "overview", q); s.err == nil {
		s.page, s.err = c.get(ctx, what, nil)
	}
	return s
}

func (t *top) loop(ctx context.Context, c *client) error {
	keys := make(chan string)
	shots := make(chan *snapshot, 1)
	broken := make(chan any, 2)
	resized := make(chan os.Signal, 1)
	watchResize(resized)
	// A panic in another goroutine would end the program with the terminal still ours.
	guarded := func(f func()) {
		go func() {
			defer func() {
				if v := recover(); v != nil {
					broken <- fmt.Sprintf("%v\n\n%s", v, debug.Stack())
				}
			}()
			f()
		}()
	}
	guarded(func() {
		t.screen.keys(func(key string) {
			select {
			case keys <- key:
			case <-ctx.Done():
			}
		})
	})
	busy := false
	fetch := func() {
		if what := t.what; !busy { // one at a time: a slow server is not asked again meanwhile
			busy = true
			guarded(func() { shots <- t.look(ctx, c, what, nil) })
		}
	}
	tick := time.NewTicker(t.every)
	defer tick.Stop()
	for {
		if err := t.screen.draw(t.lines()); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case v := <-broken:
			panic(v)
		case <-resized:
		case <-tick.C:
			fetch()
		case s := <-shots:
			busy = false
			t.take(s)
			if s.what != t.what {
				fetch()
			}
		case key := <-keys:
			was := t.what
			if done, err := t.key(key); done {
				return err
			}
			if t.what != was {
				fetch()
			}
		}
	}
}

// take makes a snapshot the one that is shown, unless it is of another page, failed, or unwanted.
func (t *top) take(s *snapshot) {
	if t.shot == nil {
		t.shot, t.lastSeen = s, t.now()
		return
	}
	t.trouble = ""
	switch {
	case s.err != nil:
		t.trouble = strings.SplitN(clean(s.err.Error()), `\n`, 2)[0]
	case s.what == t.what && (!t.paused || t.shot.what != t.what):
		t.shot, t.lastSeen = s, t.now()
	}
}

func (t *top) writeSnapshot() error {
	if t.json {
		return t.writeJSON(map[string]any{"overview": json.RawMessage(t.shot.overview.raw), t.what: json.RawMessage(t.shot.page.raw)})
	}
	var out io.Writer = t.out
	if t.output != "-" {
		f, err := os.Create(t.output)
		if err != nil {
			return err
		}
		defer f.Close()
		out = f
	}
	width := t.width()
	if t.output != "-" {
		width = 0
	}
	_, err := io.WriteString(out, strings.Join(t.report(width), "\n")+"\n")
	return err
}
