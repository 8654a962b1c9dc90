package cron

import (
	"math"
	"time"
)

// A time on the wall clock is counted in seconds as if the zone were UTC. All other numbers are Unix times.

// A period is a stretch of time, without its end, over which the wall clock is ahead of UTC by the same offset.
type period struct{ start, end, offset int64 }

func periodAt(zone *time.Location, unix int64) period {
	t := time.Unix(unix, 0).In(zone)
	_, offset := t.Zone()
	p := period{math.MinInt64, math.MaxInt64, int64(offset)}
	start, end := t.ZoneBounds()
	if !start.IsZero() {
		p.start = start.Unix()
	}
	if !end.IsZero() {
		p.end = end.Unix()
	}
	// Go 1.26 gives the beginning of the day as the end, on the last day of leap years (golang.org/issue/81583).
	if p.end <= unix {
		p.end = unix - unix%secondsPerDay + secondsPerDay
	}
	return p
}

// maxOffset is more than any wall clock is ahead of UTC or behind it.
const maxOffset = 26 * 60 * 60

// highest returns the latest time that the wall clock has shown up to a moment. It is not what the clock shows if
// that was put back: then it shows some times again.
func highest(zone *time.Location, unix int64) (wall int64) {
	p := periodAt(zone, unix)
	wall = unix + p.offset
	// Longer ago, no clock can have been ahead of what it shows now.
	for p.start > unix-2*maxOffset {
		before := p.start - 1
		p = periodAt(zone, before)
		wall = max(wall, before+p.offset)
	}
	return wall
}

// reached returns the first moment at which the wall clock shows a time or a later one.
func reached(zone *time.Location, wall int64) (unix int64) {
	from := wall - maxOffset
	for {
		p := periodAt(zone, from)
		if unix := max(from, wall-p.offset); unix < p.end {
			return unix
		}
		from = p.end
	}
}
