// Package when reads the moment of an event that is given as text: "7 days", "in 90 minutes", "2h30m", "P7D"
// or "2026-12-24T18:00:00Z".
package when

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// A Moment is a delay or a time. "now" is the zero Moment.
type Moment struct {
	Delay time.Duration // never negative; zero if At is set
	At    time.Time     // in UTC, in the years 1970 to 9999; zero if a delay was given
}

// Parse reads a moment. Upper and lower case are the same, and space around the text does not count.
//
//   - Words: amounts with their units, as in "7 days", "in 90 minutes", "1 week, 2 days and an hour". A leading
//     "in" and what stands between the parts is for the reader only. The units are second (sec, s), minute
//     (min, m), hour (h), day (d) and week (w), also in the plural, and milli-, micro- and nanosecond (ms, us,
//     ns). A day has 24 hours and a week 168, whatever the clocks do in some time zone.
//   - What [time.ParseDuration] reads: "2h30m", "1.5s".
//   - ISO 8601 durations in weeks, days, hours, minutes and seconds: "P7D", "PT90M", "P1DT12H".
//   - RFC 3339 times: "2026-12-24T18:00:00Z", "2026-12-24T18:00:00.5+01:00". They may be in the past.
//   - "now".
//
// Refused are months and years, whose length is not fixed; negative delays; delays over 292 years; times outside
// of the years 1970 to 9999; and dates without a time or a time zone, because each machine would guess its own.
// Errors say which part is wrong and what to write.
func Parse(text string) (Moment, error) {
	trimmed := strings.TrimSpace(text)
	m, err := parse(trimmed)
	if err != nil {
		return Moment{}, fmt.Errorf("when %.40q: %w", trimmed, err)
	}
	return m, nil
}

const examples = `write it like "7 days", "in 90 minutes", "2h30m", "P7D" or "2026-12-24T18:00:00Z"`

var (
	errNegative = errors.New(`a delay cannot be negative: for the past give a time, like "2026-12-24T18:00:00Z"`)
	errTooLong  = errors.New(`a delay is at most 292 years: for later give a time, like "2400-01-01T00:00:00Z"`)
	errMonths   = errors.New("months and years have no fixed length: give days, weeks or a time")
)

func parse(text string) (Moment, error) {
	switch {
	case text == "":
		return Moment{}, errors.New("empty: " + examples)
	case strings.EqualFold(text, "now"):
		return Moment{}, nil
	case isTime(text):
		at, err := parseTime(text)
		return Moment{At: at}, err
	case isISO(text):
		d, err := parseISO(text)
		return Moment{Delay: d}, err
	}
	// The text is tried as a Go duration first: "+5s", "0" and ".5h" are good as such and not as words.
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return Moment{Delay: d}, nil
	}
	d, err := parseWords(text)
	return Moment{Delay: d}, err
}

// A unit is a number of units that time.ParseDuration knows.
type unit struct {
	name string
	n    time.Duration
}

var (
	second = unit{"s", 1}
	minute = unit{"m", 1}
	hour   = unit{"h", 1}
	day    = unit{"h", 24}
	week   = unit{"h", 7 * 24}
)

// plus adds an amount of a unit. The number has digits and at most one point.
func (u unit) plus(total time.Duration, number string) (time.Duration, error) {
	if !strings.ContainsAny(number, "0123456789") || strings.Count(number, ".") > 1 {
		return 0, fmt.Errorf("%.40q is not a number: %s", number, examples)
	}
	d, err := time.ParseDuration(number + u.name)
	if err != nil || d > (math.MaxInt64-total)/u.n {
		return 0, errTooLong
	}
	return total + d*u.n, nil
}

// cut splits off the runes at the beginning of text for which f holds, and the space after them.
func cut(text string, f func(rune) bool) (head, rest string) {
	rest = strings.TrimLeftFunc(text, f)
	return text[:len(text)-len(rest)], strings.TrimSpace(rest)
}
