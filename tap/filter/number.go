package filter

import (
	"bytes"
	"cmp"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// A decimal is any decimal number, exactly: 0.d₁d₂d₃… × 10^exp.
type decimal struct {
	neg    bool
	digits []byte // neither the first nor the last is 0; zero has none
	exp    int
}

const (
	maxDigits   = 4096
	maxExponent = 1e8 // larger ones are not taken for numbers
)

// parseDecimal reads [+-]digits[.digits][e[+-]digits]. It uses buf for the digits if there is room.
func parseDecimal(buf []byte, s string) (d decimal, ok bool) {
	if len(s) > maxDigits {
		return d, false
	}
	if s != "" && (s[0] == '-' || s[0] == '+') {
		d.neg = s[0] == '-'
		s = s[1:]
	}
	d.digits = buf[:0]
	seen, point := false, false
	for ; s != ""; s = s[1:] {
		c := s[0]
		if c == '.' && !point {
			point = true
			continue
		} else if c < '0' || c > '9' {
			break
		}
		seen = true
		zero := c == '0' && len(d.digits) == 0 // a leading one
		if !zero {
			d.digits = append(d.digits, c)
		}
		switch {
		case !zero && !point:
			d.exp++
		case zero && point:
			d.exp--
		}
	}
	if !seen {
		return d, false
	}
	if s != "" {
		e, ok := parseExponent(s)
		if !ok {
			return d, false
		}
		d.exp += e
	}
	d.digits = bytes.TrimRight(d.digits, "0")
	if len(d.digits) == 0 {
		d.neg, d.exp = false, 0
	}
	return d, true
}

func parseExponent(s string) (int, bool) {
	if s[0] != 'e' && s[0] != 'E' {
		return 0, false
	}
	e, err := strconv.ParseInt(s[1:], 10, 64)
	return int(e), err == nil && -maxExponent <= e && e <= maxExponent
}

func (d decimal) sign() int {
	switch {
	case len(d.digits) == 0:
		return 0
	case d.neg:
		return -1
	}
	return 1
}

func (d decimal) compare(o decimal) int {
	s := d.sign()
	if c := cmp.Compare(s, o.sign()); c != 0 || s == 0 {
		return c
	}
	c := cmp.Or(cmp.Compare(d.exp, o.exp), bytes.Compare(d.digits, o.digits))
	return s * c
}

// A number is a number in a filter, prepared for all that it may be compared with.
type number struct {
	decimal
	whole bool   // it is an integer whose size fits mag
	mag   uint64 // its size; its sign is that of the decimal
	f64   float64
	f32   float64
}

func parseNumber(s string) *number {
	d, ok := parseDecimal(nil, s)
	if !ok {
		return nil
	}
	n := &number{decimal: d}
	if d.exp >= len(d.digits) && d.exp <= 20 { // 2^64 has 20 digits
		text := string(d.digits) + strings.Repeat("0", d.exp-len(d.digits))
		if text == "" {
			text = "0"
		}
		mag, err := strconv.ParseUint(text, 10, 64)
		n.mag, n.whole = mag, err == nil
	}
	n.f64, _ = strconv.ParseFloat(s, 64) // infinite if out of range
	n.f32, _ = strconv.ParseFloat(s, 32)
	return n
}

// compareInt compares x with n.
func (n *number) compareInt(x int64) int {
	if x < 0 {
		return n.compareMag(true, uint64(-(x+1))+1) // also right for the least
	}
	return n.compareMag(false, uint64(x))
}

func (n *number) compareUint(x uint64) int { return n.compareMag(false, x) }

func (n *number) compareMag(neg bool, mag uint64) int {
	if !n.whole {
		var buf [24]byte
		if neg {
			buf[0] = '-'
		} else {
			buf[0] = '+'
		}
		text := strconv.AppendUint(buf[:1], mag, 10)
		d := decimal{neg: neg, digits: bytes.TrimRight(text[1:], "0"), exp: len(text) - 1}
		if mag == 0 {
			d = decimal{}
		}
		return d.compare(n.decimal)
	}
	switch {
	case neg && n.neg:
		return cmp.Compare(n.mag, mag)
	case neg:
		return -1
	case n.neg:
		return 1
	}
	return cmp.Compare(mag, n.mag)
}

// compareFloat compares x with n rounded to a float of so many bits. Where rounding made n infinite
// or zero, it still is neither. It reports false for NaN.
func (n *number) compareFloat(x float64, bits int) (int, bool) {
	f := n.f64
	if bits == 32 {
		f = n.f32
	}
	switch {
	case math.IsNaN(x):
		return 0, false
	case x == f && (f == 0 || math.IsInf(f, 0)):
		if f == 0 {
			return -n.sign(), true // 0 against 1e-999
		}
		return n.sign(), true // an infinity against 1e999
	}
	return cmp.Compare(x, f), true
}

// compareText compares the number that is written in x with n. It reports false if x is not one.
func (n *number) compareText(x string) (int, bool) {
	var buf [64]byte
	d, ok := parseDecimal(buf[:0], x)
	if !ok {
		return 0, false
	}
	return d.compare(n.decimal), true
}

// units in nanoseconds, those first that others begin with.
var units = [...]struct {
	name string
	ns   int64
}{
	{"ns", 1},
	{"us", 1e3}, {"µs", 1e3}, {"μs", 1e3}, // both of the letters that look like it
	{"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9},
}

// parseDuration reads what time.ParseDuration reads, as exact nanoseconds without a limit:
// "0.5ns" is not 0 and "300000h" is longer than every time.Duration.
func parseDuration(s string) *number {
	neg := strings.HasPrefix(s, "-")
	rest := strings.TrimLeft(s, "+-")
	if len(s)-len(rest) > 1 || rest == "" {
		return nil
	}
	sum, decimals := new(big.Rat), 0
	for rest != "" {
		n := 0
		for n < len(rest) && (rest[n] == '.' || '0' <= rest[n] && rest[n] <= '9') {
			n++
		}
		digits, after := rest[:n], rest[n:]
		if _, ok := parseDecimal(nil, digits); !ok || strings.Count(digits, ".") > 1 {
			return nil
		}
		if dot := strings.IndexByte(digits, '.'); dot >= 0 {
			decimals = max(decimals, n-dot)
		}
		part, ok := new(big.Rat).SetString(digits)
		if !ok {
			return nil
		}
		found := false
		for _, u := range units {
			if tail, ok := strings.CutPrefix(after, u.name); ok {
				sum.Add(sum, part.Mul(part, new(big.Rat).SetInt64(u.ns)))
				rest, found = tail, true
				break
			}
		}
		if !found {
			return nil
		}
	}
	if neg {
		sum.Neg(sum)
	}
	return parseNumber(sum.FloatString(decimals))
}
