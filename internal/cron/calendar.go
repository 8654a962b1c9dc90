package cron

import (
	"math/bits"
	"time"
)

// The fields, in their order.
const (
	second = iota
	minute
	hour
	day
	month
	weekday
	numFields
)

// A calendar is a set of times on the wall clock.
type calendar struct {
	sets    [numFields]uint64 // bit n stands for the value n
	lastDay bool              // the last day of the month is allowed
	nth     [7]uint8          // per weekday: bit n allows the nth of the month, bit 0 the last one
	either  bool              // the day of the month or of the week is enough
}

// Calendars are searched through these years: some walls show 1969 at the first tick and 10000 at the last one.
const firstYear, lastYear = 1969, 10000

const secondsPerDay = 24 * 60 * 60

// atOrAfter returns the first time of the calendar from a time on.
func (c *calendar) atOrAfter(wall int64) (int64, bool) {
	date, clock := split(wall)
	for ok := true; ; {
		from := date
		if date, ok = c.dayFrom(date); !ok {
			return 0, false
		}
		if date != from {
			clock = 0
		}
		if clock, ok = c.clockFrom(clock); ok {
			return date + clock, true
		}
		date, clock = date+secondsPerDay, 0
	}
}

// atOrBefore returns the last time of the calendar up to a time.
func (c *calendar) atOrBefore(wall int64) (int64, bool) {
	date, clock := split(wall)
	for ok := true; ; {
		to := date
		if date, ok = c.dayTo(date); !ok {
			return 0, false
		}
		if date != to {
			clock = secondsPerDay - 1
		}
		if clock, ok = c.clockTo(clock); ok {
			return date + clock, true
		}
		date, clock = date-secondsPerDay, secondsPerDay-1
	}
}

// split returns the beginning of a day and the seconds since then.
func split(wall int64) (date, clock int64) {
	clock = (wall%secondsPerDay + secondsPerDay) % secondsPerDay
	return wall - clock, clock
}

func (c *calendar) dayFrom(date int64) (int64, bool) {
	y, m, d := time.Unix(date, 0).UTC().Date()
	for n := y*12 + int(m) - 1; n < (lastYear+1)*12; n, d = n+1, 1 {
		if found := first(c.days(n/12, n%12+1), d); found < none {
			return time.Date(n/12, time.Month(n%12+1), found, 0, 0, 0, 0, time.UTC).Unix(), true
		}
	}
	return 0, false
}

func (c *calendar) dayTo(date int64) (int64, bool) {
	y, m, d := time.Unix(date, 0).UTC().Date()
	for n := y*12 + int(m) - 1; n >= firstYear*12; n, d = n-1, 31 {
		if found := last(c.days(n/12, n%12+1), d); found >= 0 {
			return time.Date(n/12, time.Month(n%12+1), found, 0, 0, 0, 0, time.UTC).Unix(), true
		}
	}
	return 0, false
}

// days returns the set of days that are allowed in a month.
func (c *calendar) days(y, m int) (set uint64) {
	if c.sets[month]>>m&1 == 0 {
		return 0
	}
	end := time.Date(y, time.Month(m)+1, 0, 0, 0, 0, 0, time.UTC)
	length := end.Day()
	before := int(end.Weekday()) + 35 - length // the weekday of day 0, plus some weeks
	for d := 1; d <= length; d++ {
		w := (before + d) % 7
		byDate := c.sets[day]>>d&1 == 1 || c.lastDay && d == length
		byWeek := c.sets[weekday]>>w&1 == 1 || c.nth[w]>>((d+6)/7)&1 == 1 || c.nth[w]&1 == 1 && d+7 > length
		if byDate && byWeek || c.either && (byDate || byWeek) {
			set |= 1 << d
		}
	}
	return set
}

func (c *calendar) clockFrom(clock int64) (int64, bool) {
	h0, m0, s0 := int(clock/3600), int(clock/60%60), int(clock%60)
	for h := first(c.sets[hour], h0); h < none; h, m0, s0 = first(c.sets[hour], h+1), 0, 0 {
		if h > h0 {
			m0, s0 = 0, 0
		}
		for m := first(c.sets[minute], m0); m < none; m, s0 = first(c.sets[minute], m+1), 0 {
			if m > m0 {
				s0 = 0
			}
			if s := first(c.sets[second], s0); s < none {
				return int64(h*3600 + m*60 + s), true
			}
		}
	}
	return 0, false
}

func (c *calendar) clockTo(clock int64) (int64, bool) {
	h0, m0, s0 := int(clock/3600), int(clock/60%60), int(clock%60)
	for h := last(c.sets[hour], h0); h >= 0; h, m0, s0 = last(c.sets[hour], h-1), 59, 59 {
		if h < h0 {
			m0, s0 = 59, 59
		}
		for m := last(c.sets[minute], m0); m >= 0; m, s0 = last(c.sets[minute], m-1), 59 {
			if m < m0 {
				s0 = 59
			}
			if s := last(c.sets[second], s0); s >= 0 {
				return int64(h*3600 + m*60 + s), true
			}
		}
	}
	return 0, false
}

const none = 64

// first returns the smallest value of a set that is at least from, or none.
func first(set uint64, from int) int { return bits.TrailingZeros64(set >> from << from) }

// last returns the largest value of a set that is at most to, or -1.
func last(set uint64, to int) int { return bits.Len64(set&(1<<(to+1)-1)) - 1 }
