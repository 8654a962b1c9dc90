package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"runtime"
	"strconv"
	"time"
)

var benchCommand = &command{
	name: "bench", summary: "what an event costs on this machine, in a few seconds; needs no server", local: true,
	doc: "Nanoseconds of two machines cannot be compared, ratios of one run can. Noise makes everything\nslower, so the least of several rounds counts. A goal that is missed is no failure.",
	examples: []example{
		{"earshot bench", "the figures of the documentation, here"},
		{"earshot bench --rounds 15 --json", "longer and calmer, to keep"},
	},
	setup: func(a *app, fs *flag.FlagSet) func(context.Context, []string) error {
		rounds := fs.Int("rounds", 5, "how often each figure is taken")
		return func(ctx context.Context, _ []string) error {
			if *rounds < 1 || *rounds > 1000 {
				return usage("--rounds %d: between 1 and 1000", *rounds)
			}
			return a.bench(ctx, *rounds, 20*time.Millisecond)
		}
	},
}

// A contest is something of ours beside what it is measured against, and how it should end.
type contest struct {
	what, against string
	goal          float64
	ours, theirs  func() (loop func(n int), end func())
}

// A finish is how a contest ended, in nanoseconds an event.
type finish struct {
	What      string  `json:"what"`
	Ns        float64 `json:"ns"`
	Against   string  `json:"against"`
	AgainstNs float64 `json:"against_ns"`
	Ratio     float64 `json:"ratio"`
	Goal      float64 `json:"goal"`
}

func (a *app) bench(ctx context.Context, rounds int, budget time.Duration) error {
	if a.term.err {
		a.notef("[bench] about %v; other work on this machine makes it noisier", (time.Duration(rounds*len(contests)*3) * budget).Round(time.Second))
	}
	var all []finish
	for _, c := range contests {
		f, err := c.run(ctx, rounds, budget)
		if err != nil {
			return err
		}
		all = append(all, f)
	}
	if a.json {
		return a.writeJSON(map[string]any{
			"go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH, "cpus": runtime.GOMAXPROCS(0),
			"rounds": rounds, "results": all,
		})
	}
	met := 0
	t := table{Name: "results", Keys: []string{"what", "ns", "against", "against_ns", "ratio", "goal"}}
	fixed := func(f float64, digits int) any { return strconv.FormatFloat(f, 'f', digits, 64) }
	for _, f := range all {
		if f.Ratio <= f.Goal {
			met++
		}
		t.Rows = append(t.Rows, []any{f.What, fixed(f.Ns, 1), f.Against, fixed(f.AgainstNs, 1), fixed(f.Ratio, 2), "≤ " + fmt.Sprint(f.Goal)})
	}
	if err := a.printTable("bench", t); err != nil {
		return err
	}
	a.notef("[bench] %d of %d goals met; %s, %s/%s, GOMAXPROCS=%d", met, len(all), runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))
	return nil
}

// run takes both in turn, so that neither has all of the noise.
func (c contest) run(ctx context.Context, rounds int, budget time.Duration) (finish, error) {
	f := finish{What: c.what, Against: c.against, Goal: c.goal}
	for round := range rounds {
		for i := range 2 {
			side, least := c.ours, &f.Ns
			if (i+round)%2 == 1 {
				side, least = c.theirs, &f.AgainstNs
			}
			if ctx.Err() != nil {
				return f, context.Cause(ctx)
			}
			loop, end := side()
			runtime.GC()
			ns := perEvent(loop, budget)
			end()
			if *least == 0 || ns < *least {
				*least = ns
			}
		}
	}
	f.Ratio = f.Ns / f.AgainstNs
	return f, nil
}

// perEvent finds a count that fills the budget, and returns nanoseconds for one.
func perEvent(loop func(int), budget time.Duration) float64 {
	for n := 64; ; n *= 4 {
		begin := time.Now()
		loop(n)
		if took := time.Since(begin); took >= budget/4 || n > 1<<30 {
			return float64(took.Nanoseconds()) / float64(n)
		}
	}
}

// MarshalJSON keeps as many digits as mean something.
func (f finish) MarshalJSON() ([]byte, error) {
	type plain finish
	for _, v := range []*float64{&f.Ns, &f.AgainstNs, &f.Ratio} {
		*v, _ = strconv.ParseFloat(strconv.FormatFloat(*v, 'g', 4, 64), 64)
	}
	return json.Marshal(plain(f))
}
