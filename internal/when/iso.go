package when

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// isISO tells ISO 8601 durations from words.
func isISO(text string) bool {
	text = strings.TrimLeft(text, "+-")
	return len(text) > 1 && strings.ContainsAny(text[:1], "Pp") && strings.ContainsAny(text[1:2], "+-.0123456789Tt")
}

// parseISO reads a duration like "P1DT12H". ISO wants weeks to stand alone; many write "P1W2D", which is as clear.
func parseISO(text string) (total time.Duration, err error) {
	if strings.Contains(text, "-") {
		return 0, errNegative
	}
	units := map[byte]unit{'W': week, 'D': day}
	const order = "the parts are weeks W, days D, then T, hours H, minutes M, seconds S, as in \"P1W2DT12H30M5S\""
	left := "YMWD" // what may still come
	parts := 0
	date, clock, hasClock := strings.Cut(strings.ToUpper(strings.TrimPrefix(text, "+"))[1:], "T")
	for rest := date; ; {
		if rest == "" && hasClock {
			rest, hasClock = clock, false
			left, parts = "HMS", 0
			units = map[byte]unit{'H': hour, 'M': minute, 'S': second}
		}
		if rest == "" && parts > 0 {
			return total, nil
		}
		i := strings.IndexFunc(rest, func(r rune) bool { return (r < '0' || r > '9') && r != '.' && r != ',' })
		if i <= 0 {
			return 0, fmt.Errorf("a number with its letter is missing at %.40q: %s", rest, order)
		}
		number, letter := rest[:i], rest[i]
		place := strings.IndexByte(left, letter)
		switch {
		case place < 0:
			return 0, fmt.Errorf("%.40q is out of place: %s", rest[:i+1], order)
		case units[letter] == unit{}:
			return 0, errMonths
		}
		rest, left = rest[i+1:], left[place+1:]
		parts++
		if strings.ContainsAny(number, ".,") && (rest != "" || hasClock) {
			return 0, errors.New("only the last part may have a fraction")
		}
		if total, err = units[letter].plus(total, strings.ReplaceAll(number, ",", ".")); err != nil {
			return 0, err
		}
	}
}
