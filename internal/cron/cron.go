// Package cron tells when a schedule like "*/15 9-17 * * MON-FRI" is due.
//
// # Fields
//
// A schedule has five fields, minute (0 to 59), hour (0 to 23), day-of-month (1 to 31), month (1 to 12 or JAN to
// DEC) and day-of-week (0 to 7 or SUN to SAT; 0 and 7 are Sunday), or six with second (0 to 59) first. Without it,
// the second is 0. A field is a list "1,15,30" of parts:
//
//   - "*" or "?" for every value, "5" for one, "9-17" for a range
//   - with a step, "*/15", "10-50/20" or "5/15" (from 5 to the end)
//   - "L" in day-of-month: the last day
//   - "FRI#2" or "5#2" in day-of-week: the second Friday; "FRIL" or "5L": the last one
//
// A day has to be allowed by both day fields, as in "0 9 * * MON". But if neither of them begins with "*" or "?",
// one is enough, as in other crons: "0 9 13 * FRI" is due on every 13th and on every Friday.
//
// In place of the fields there may be @yearly (or @annually), @monthly, @weekly, @daily (or @midnight) or @hourly.
//
// # Time zones
//
// The fields are about the wall clock in UTC, or in the zone that comes first, as in "TZ=Europe/Berlin 0 9 * * *".
// CRON_TZ= is the same. Where wall clocks are changed, it matters if the hour field allows every hour:
//
//   - If it does, the schedule is due whenever the wall clock shows a time that the fields allow. "*/15 * * * *" is
//     due every quarter of an hour: four times more when an hour is repeated, and never in an hour left out.
//   - If not, each time that the fields allow is due once: at the first moment at which the wall clock shows it or,
//     if it was left out, a later time. "30 2 * * *" is due once in the night that has 02:30 twice, and at 03:00 in
//     the one in which 02:00 to 03:00 are left out. Times left out together are due together, as one.
//
// # Intervals
//
// "@every 90s" is due each time that the Unix time is a multiple of 90 seconds, so that all processes agree on it,
// whenever they were started. It takes what [time.ParseDuration] takes, in whole seconds. A time zone would mean
// nothing here and is refused.
package cron

import "time"

// A Schedule is immutable and safe for use by many goroutines. Its times are whole seconds in the years 1970 to
// 9999 (UTC), given in its own time zone: for a key that does not depend on it, use their UTC.
type Schedule struct {
	text  string
	zone  *time.Location
	every int64 // seconds, of an interval; the calendar is empty then
	calendar
}

// The first and the last moment that a schedule can be due, in Unix time.
const (
	firstTick = 0
	lastTick  = 253402300799
)

// String returns the text of the schedule, with single spaces. [Parse] takes it.
func (s *Schedule) String() string { return s.text }

// Next returns the first time after the given one at which the schedule is due. It is zero if there is none, which
// is so only close to the year 10000. It takes microseconds (BenchmarkNext), even if the time is decades away.
func (s *Schedule) Next(after time.Time) time.Time {
	from := min(max(after.Unix(), firstTick-1), lastTick)
	switch {
	case s.every > 0:
		return s.time((from+s.every)/s.every*s.every, true)
	case s.everyHour():
		return s.time(s.nextShown(from + 1))
	}
	wall, ok := s.atOrAfter(highest(s.zone, from) + 1)
	return s.time(reached(s.zone, wall), ok)
}

// Last returns the latest time, up to and including the given one, at which the schedule was due. It is zero if
// there is none, which is so only close to the year 1970.
func (s *Schedule) Last(atOrBefore time.Time) time.Time {
	to := min(atOrBefore.Unix(), lastTick)
	switch {
	case to < firstTick:
		return time.Time{}
	case s.every > 0:
		return s.time(to/s.every*s.every, true)
	case s.everyHour():
		return s.time(s.lastShown(to))
	}
	wall, ok := s.atOrBefore(highest(s.zone, to))
	return s.time(reached(s.zone, wall), ok)
}

func (s *Schedule) time(unix int64, ok bool) time.Time {
	if !ok || unix < firstTick || unix > lastTick {
		return time.Time{}
	}
	return time.Unix(unix, 0).In(s.zone)
}

func (s *Schedule) everyHour() bool { return s.sets[hour] == 1<<24-1 }

// nextShown returns the first moment, from the given one on, at which the wall clock shows a time of the calendar.
func (s *Schedule) nextShown(from int64) (unix int64, ok bool) {
	for {
		p := periodAt(s.zone, from)
		wall, ok := s.atOrAfter(from + p.offset)
		if unix := wall - p.offset; !ok || unix < p.end {
			return unix, ok
		}
		from = p.end
	}
}

// lastShown returns the last moment, up to the given one, at which the wall clock showed a time of the calendar.
func (s *Schedule) lastShown(to int64) (unix int64, ok bool) {
	for {
		p := periodAt(s.zone, to)
		wall, ok := s.atOrBefore(to + p.offset)
		if unix := wall - p.offset; !ok || unix >= p.start {
			return unix, ok
		}
		to = p.start - 1
	}
}
