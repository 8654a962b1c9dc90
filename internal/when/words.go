package when

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

var unitWords = map[string]unit{
	"ns": {"ns", 1}, "nanosecond": {"ns", 1}, "nanoseconds": {"ns", 1},
	"us": {"us", 1}, "µs": {"us", 1}, "μs": {"us", 1}, "microsecond": {"us", 1}, "microseconds": {"us", 1},
	"ms": {"ms", 1}, "millisecond": {"ms", 1}, "milliseconds": {"ms", 1},
	"s": second, "sec": second, "secs": second, "second": second, "seconds": second,
	"m": minute, "min": minute, "mins": minute, "minute": minute, "minutes": minute,
	"h": hour, "hr": hour, "hrs": hour, "hour": hour, "hours": hour,
	"d": day, "day": day, "days": day,
	"w": week, "week": week, "weeks": week,
}

// parseWords reads amounts and units, as in "in 1 week, 2 days and an hour".
func parseWords(text string) (total time.Duration, err error) {
	rest := text
	if word, after := cut(rest, unicode.IsLetter); strings.EqualFold(word, "in") {
		rest = after
	}
	for {
		if total, rest, err = addPart(total, rest); err != nil || rest == "" {
			return total, err
		}
		joint := rest
		rest = strings.TrimSpace(strings.TrimPrefix(rest, ","))
		if word, after := cut(rest, unicode.IsLetter); strings.EqualFold(word, "and") {
			rest = after
		}
		if rest == "" {
			return 0, fmt.Errorf("nothing comes after %.40q: %s", joint, examples)
		}
	}
}

// addPart reads one amount with its unit at the beginning of text.
func addPart(total time.Duration, text string) (_ time.Duration, rest string, err error) {
	if strings.HasPrefix(text, "-") || strings.HasPrefix(text, "−") {
		return 0, "", errNegative
	}
	number, rest := cut(text, func(r rune) bool { return r >= '0' && r <= '9' || r == '.' })
	word, rest := cut(rest, unicode.IsLetter)
	given := number
	switch lower := strings.ToLower(word); {
	case number == "" && lower == "ago":
		return 0, "", errNegative
	case number == "" && (lower == "a" || lower == "an"):
		given, number = word, "1"
		word, rest = cut(rest, unicode.IsLetter)
	case number == "":
		return 0, "", fmt.Errorf("a number and a unit are missing at %.40q: %s", text, examples)
	}
	lower := strings.ToLower(word)
	if u, ok := unitWords[lower]; ok {
		total, err = u.plus(total, number)
		return total, rest, err
	}
	switch lower {
	case "":
		return 0, "", fmt.Errorf("a unit is missing after %.40q: it is second, minute, hour, day or week", given)
	case "month", "months", "year", "years", "mo", "y", "yr", "yrs":
		return 0, "", errMonths
	}
	return 0, "", fmt.Errorf("%.40q is not a unit: it is second, minute, hour, day or week", word)
}
