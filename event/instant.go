package event

import "time"

func appendTime(dst []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(dst, time.RFC3339Nano)
}

// parseTime reads a time of RFC 3339, in UTC. Package time's own parser takes some texts that are none, such
// as a comma before the fraction, and refuses some that are: small letters and leap seconds. Here the second
// after 59 is the next minute's first. Digits after the ninth of a fraction are dropped.
func parseTime(s []byte) (t time.Time, ok bool) {
	const form = "0000-00-00T00:00:00"
	if len(s) <= len(form) {
		return t, false
	}
	for i := range len(form) {
		switch c := s[i]; form[i] {
		case '0':
			ok = isDigit(c)
		case 'T':
			ok = c == 'T' || c == 't'
		default:
			ok = c == form[i]
		}
		if !ok {
			return t, false
		}
	}
	year, month, day := number(s[:4]), time.Month(number(s[5:7])), number(s[8:10])
	hour, minute, second := number(s[11:13]), number(s[14:16]), number(s[17:19])
	s = s[len(form):]
	nano := 0
	if s[0] == '.' {
		n := 1
		for unit := 100_000_000; n < len(s) && isDigit(s[n]); n++ {
			nano += int(s[n]-'0') * unit
			unit /= 10
		}
		if n == 1 {
			return t, false
		}
		s = s[n:]
	}
	east, ok := parseZone(s)
	if !ok || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 60 {
		return t, false
	}
	t = time.Date(year, month, day, hour, minute, 0, 0, time.UTC)
	if t.Day() != day {
		return t, false // February 30th
	}
	return t.Add(time.Duration(second)*time.Second + time.Duration(nano) - east), true
}

// parseZone reads "Z" or "+01:00".
func parseZone(s []byte) (east time.Duration, ok bool) {
	if len(s) == 1 && (s[0] == 'Z' || s[0] == 'z') {
		return 0, true
	}
	if len(s) != 6 || s[0] != '+' && s[0] != '-' || s[3] != ':' ||
		!isDigit(s[1]) || !isDigit(s[2]) || !isDigit(s[4]) || !isDigit(s[5]) {
		return 0, false
	}
	hour, minute := number(s[1:3]), number(s[4:])
	east = time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute
	if s[0] == '-' {
		east = -east
	}
	return east, hour <= 23 && minute <= 59
}

func number(digits []byte) (n int) {
	for i := range len(digits) {
		n = n*10 + int(digits[i]-'0')
	}
	return n
}
