package main

import (
	"context"
	"flag"
	"strings"
	"time"
	_ "time/tzdata" // zones are known on every machine

	"github.com/earshot-go/earshot/internal/cron"
	"github.com/earshot-go/earshot/internal/when"
)

var queueCronCommand = &command{
	name: "queue cron", args: "COMMAND", summary: "when schedules are due; asks no store", local: true,
	members: []*command{queueCronNextCommand},
	examples: []example{
		{"earshot queue cron next '0 9 * * MON-FRI'", "the next ticks of a schedule"},
		{"earshot help queue cron next", "more about it"},
	},
	setup: func(*app, *flag.FlagSet) func(context.Context, []string) error { return nil },
}

var queueCronNextCommand = &command{
	name: "queue cron next", args: "SPEC", summary: "when a schedule is due next", minArgs: 1, maxArgs: -1, local: true,
	doc: "A spec is minute, hour, day of month, month and day of week, in UTC, or in the zone that TZ= in\nfront of it or --tz names. A sixth field in front is the second. There are @daily and others, and\n\"@every 90s\". Quote it for the shell.",
	examples: []example{
		{"earshot queue cron next '*/15 9-17 * * MON-FRI'", "its next ticks"},
		{"earshot queue cron next 'TZ=Europe/Berlin 30 2 * * *' --from 2026-03-28T00:00:00Z", "as the clocks change"},
		{"earshot queue cron next '0 0 L * *' -n 12 --tz Asia/Tokyo", "a year of month's ends"},
	},
	setup: func(a *app, fs *flag.FlagSet) func(context.Context, []string) error {
		n := fs.Int("n", 5, "how many ticks")
		from := fs.String("from", "now", "those after this `TIME`, as 2026-12-24T18:00:00Z or \"in 7 days\"")
		zone := fs.String("tz", "", "the `ZONE` of the spec, as Europe/Berlin")
		return func(_ context.Context, args []string) error {
			spec := strings.Join(args, " ")
			if *zone != "" {
				if strings.Contains(spec, "TZ=") {
					return usage("--tz %s: the spec has a zone of its own", clean(*zone))
				}
				spec = "TZ=" + *zone + " " + spec
			}
			schedule, err := cron.Parse(spec)
			if err != nil {
				return usage("%v", err)
			}
			start, err := when.Parse(*from)
			if err != nil {
				return usage("--from: %v", err)
			}
			if *n < 1 || *n > 1000 {
				return usage("-n %d: between 1 and 1000", *n)
			}
			after := start.At
			if after.IsZero() {
				after = a.now().Add(start.Delay)
			}
			return a.showTicks(schedule, after, *n)
		}
	},
}

// A tick is a time at which a schedule is due.
type tick struct {
	Local time.Time `json:"local"` // in the schedule's zone
	UTC   time.Time `json:"utc"`
	In    float64   `json:"in_seconds"`
}

func (a *app) showTicks(s *cron.Schedule, after time.Time, n int) error {
	now := a.now()
	ticks := []tick{}
	for at := s.Next(after); !at.IsZero() && len(ticks) < n; at = s.Next(at) {
		ticks = append(ticks, tick{at, at.UTC(), at.Sub(now).Round(time.Millisecond).Seconds()})
	}
	if a.json {
		return a.writeJSON(map[string]any{"spec": s.String(), "ticks": ticks})
	}
	if len(ticks) == 0 {
		a.notef("[queue cron next] never: the time is close to the year 10000")
		return nil
	}
	zone := ticks[0].Local.Location()
	t := table{Name: "ticks", Keys: []string{zone.String(), "utc", "away"}}
	const layout = "Mon 2006-01-02 15:04:05"
	for _, k := range ticks {
		t.Rows = append(t.Rows, []any{k.Local.Format(layout + " -07:00"), k.UTC.Format(layout), moment(k.UTC, now)})
	}
	if zone == time.UTC {
		t = withoutFirst(t)
	}
	return a.printTable("queue cron next", t)
}

// withoutFirst leaves out the first column.
func withoutFirst(t table) table {
	t.Keys = t.Keys[1:]
	for i, row := range t.Rows {
		t.Rows[i] = row[1:]
	}
	return t
}
