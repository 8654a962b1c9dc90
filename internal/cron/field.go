package cron

import (
	"fmt"
	"strconv"
	"strings"
)

var fields = [numFields]struct {
	name     string
	min, max int
	names    string // of the values, three letters each
	allowed  string
}{
	second:  {"second", 0, 59, "", "it is 0 to 59"},
	minute:  {"minute", 0, 59, "", "it is 0 to 59"},
	hour:    {"hour", 0, 23, "", "it is 0 to 23"},
	day:     {"day-of-month", 1, 31, "", "it is 1 to 31, or L for the last day"},
	month:   {"month", 1, 12, "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC", "it is 1 to 12, or JAN to DEC"},
	weekday: {"day-of-week", 0, 6, "SUNMONTUEWEDTHUFRISAT", "it is 0 to 7 (0 and 7 are Sunday), SUN to SAT, FRI#2 for the second Friday or FRIL for the last one"},
}

// addPart allows what one part of a field says. The hint tells what is wrong with it.
func (c *calendar) addPart(i int, part string) (hint string) {
	switch {
	case i == day && strings.EqualFold(part, "L"):
		c.lastDay = true
		return ""
	case i == weekday && strings.Contains(part, "#"):
		name, n, _ := strings.Cut(part, "#")
		w, ok := value(weekday, name)
		if !ok {
			return fields[i].allowed
		}
		if len(n) != 1 || n < "1" || n > "5" {
			return "the number after # is 1 to 5"
		}
		c.nth[w%7] |= 1 << (n[0] - '0')
		return ""
	case i == weekday && len(part) > 1 && strings.ContainsAny(part[len(part)-1:], "Ll"):
		w, ok := value(weekday, part[:len(part)-1])
		if !ok {
			return fields[i].allowed
		}
		c.nth[w%7] |= 1
		return ""
	}
	lo, hi, step, hint := bounds(i, part)
	if hint != "" {
		return hint
	}
	for v := lo; v <= hi; v += step {
		if i == weekday {
			c.sets[i] |= 1 << (v % 7)
		} else {
			c.sets[i] |= 1 << v
		}
	}
	return ""
}

// bounds reads "*", "5", "9-17" and these with a step.
func bounds(i int, part string) (lo, hi, step int, hint string) {
	f := fields[i]
	lo, hi, step = f.min, f.max, 1
	text, stepText, stepped := strings.Cut(part, "/")
	if text != "*" && text != "?" {
		from, to, ranged := strings.Cut(text, "-")
		var ok bool
		if lo, ok = value(i, from); !ok {
			return 0, 0, 0, f.allowed
		}
		switch {
		case ranged:
			if hi, ok = value(i, to); !ok {
				return 0, 0, 0, f.allowed
			}
		case !stepped:
			hi = lo
		}
		// Sunday is 0 at the beginning of a range and 7 at its end.
		if i == weekday && lo == 7 && hi < 7 {
			lo = 0
		}
		if i == weekday && lo > 0 && hi == 0 {
			hi = 7
		}
		if lo > hi {
			return 0, 0, 0, fmt.Sprintf("the range runs backwards: write %s-%d,%d-%s", from, f.max, f.min, to)
		}
	}
	if stepped {
		var ok bool
		if step, ok = number(stepText); !ok || step < 1 || step > f.max-f.min {
			return 0, 0, 0, fmt.Sprintf("the step is 1 to %d", f.max-f.min)
		}
	}
	return lo, hi, step, ""
}

// value reads a number or a name. It takes 7 for a day of the week.
func value(i int, text string) (v int, ok bool) {
	f := fields[i]
	name := strings.ToUpper(text)
	if at := strings.Index(f.names, name); len(name) == 3 && at >= 0 && at%3 == 0 {
		return f.min + at/3, true
	}
	v, ok = number(text)
	return v, ok && v >= f.min && (v <= f.max || i == weekday && v == 7)
}

func number(text string) (n int, ok bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && strings.Trim(text, "0123456789") == ""
}
