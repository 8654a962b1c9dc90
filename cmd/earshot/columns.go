package main

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

// A kind is how the values of a column are written.
type kind int

const (
	kindText    kind = iota // cut at its end
	kindPlace               // a name whose end matters, file:line: cut at its beginning
	kindID                  // a name that is there to be copied: never cut
	kindNumber              // never cut: another number would be left
	kindRate                // events a second
	kindSeconds             // a duration
	kindTime                // shown as its age
	kindBytes
)

// A column says how to show a key. Keep tells which columns stay on a narrow terminal: the ones with
// the least are left out first.
type column struct {
	label string
	kind  kind
	keep  int
}

// known are the columns of the server's own pages, and of ours. A panel's columns are guessed from their values.
var known = map[string]column{
	"channel":       {"CHANNEL", kindText, 95},
	"ref":           {"REF", kindText, 90},
	"subscriber":    {"SUBSCRIBER", kindPlace, 94},
	"site":          {"SUBSCRIBED AT", kindPlace, 60},
	"rate":          {"RATE", kindRate, 80},
	"depth":         {"DEPTH", kindNumber, 85},
	"subscribers":   {"EARS", kindNumber, 75},
	"sent":          {"SENT", kindNumber, 70},
	"missed":        {"MISSED", kindNumber, 72},
	"losing":        {"LOSING", kindRate, 71},
	"running":       {"RUNNING", kindSeconds, 82},
	"oldest":        {"OLDEST", kindSeconds, 55},
	"high_water":    {"HIGH", kindNumber, 50},
	"capacity":      {"CAP", kindNumber, 45},
	"received":      {"RECEIVED", kindNumber, 44},
	"offered":       {"OFFERED", kindNumber, 40},
	"overflow":      {"WHEN FULL", kindText, 35},
	"discarded":     {"DISCARDED", kindNumber, 30},
	"mismatched":    {"MISMATCHED", kindNumber, 28},
	"last":          {"LAST", kindTime, 65},
	"since":         {"SINCE", kindTime, 66},
	"until":         {"UNTIL", kindTime, 64},
	"started":       {"STARTED", kindTime, 60},
	"uptime":        {"UP", kindSeconds, 60},
	"type":          {"TYPE", kindText, 58},
	"live":          {"LIVE", kindText, 20},
	"declared":      {"DECLARED", kindText, 15},
	"tapped":        {"TAPPED", kindText, 18},
	"doc":           {"MEANING", kindText, 25},
	"channels_live": {"LIVE", kindNumber, 90},

	// Those of queues, which their panel has as well.
	"queue":      {"QUEUE", kindText, 92},
	"id":         {"ID", kindID, 96},
	"name":       {"NAME", kindText, 88},
	"tid":        {"TID", kindText, 80},
	"state":      {"STATE", kindText, 86},
	"when":       {"WHEN", kindText, 84},
	"ready":      {"READY", kindNumber, 90},
	"leased":     {"LEASED", kindNumber, 86},
	"dead":       {"DEAD", kindNumber, 88},
	"delayed":    {"DELAYED", kindNumber, 84},
	"fails":      {"FAILS", kindNumber, 82},
	"deliveries": {"DELIVERIES", kindNumber, 30},
	"reason":     {"REASON", kindText, 83},
}

// describe returns how to show column i of a table.
func describe(t *table, i int) column {
	key := t.Keys[i]
	if c, ok := known[key]; ok {
		return c
	}
	label := strings.TrimSuffix(strings.TrimSuffix(clean(key), "_seconds"), "_bytes")
	c := column{label: strings.ToUpper(strings.ReplaceAll(label, "_", " ")), keep: 50 - min(i, 40)}
	if i == 0 {
		c.keep = 100
	}
	switch {
	case strings.HasSuffix(key, "_bytes") || key == "bytes" || key == "size":
		c.kind = kindBytes
	case strings.HasSuffix(key, "_seconds") || key == "took" || key == "age" || key == "lag":
		c.kind = kindSeconds
	case strings.HasSuffix(key, "rate"):
		c.kind = kindRate
	default:
		c.kind = guess(t, i)
	}
	return c
}

// guess looks at the first value that is known.
func guess(t *table, i int) kind {
	for _, row := range t.Rows {
		switch v := row[i].(type) {
		case nil:
			continue
		case json.Number:
			return kindNumber
		case string:
			if _, err := time.Parse(time.RFC3339Nano, v); err == nil {
				return kindTime
			}
		}
		return kindText
	}
	return kindText
}

func (k kind) right() bool { return k != kindText && k != kindPlace && k != kindID }

// whole reports whether a value is shown as a whole or not at all.
func (k kind) whole() bool { return k.right() || k == kindID }

// format writes a value for people. A value that is not what its column says is shown as it is.
func (k kind) format(v any, now time.Time) string {
	switch v := v.(type) {
	case nil:
		return "–"
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case json.RawMessage:
		text, _ := appendCleanJSON(nil, v)
		return string(text)
	case string:
		if k == kindTime {
			if at, err := time.Parse(time.RFC3339Nano, v); err == nil {
				return age(now.Sub(at))
			}
		}
		return clean(v)
	case json.Number:
		return k.number(v)
	}
	return ""
}

func (k kind) number(n json.Number) string {
	f, err := n.Float64()
	if err != nil {
		return clean(n.String())
	}
	switch k {
	case kindRate:
		return rate(f)
	case kindSeconds:
		return seconds(f)
	case kindBytes:
		return byteSize(f)
	}
	return grouped(n.String())
}

// rate writes events a second with as many digits as one can use.
func rate(f float64) string {
	switch {
	case f == 0:
		return "0"
	case f < 10:
		return strconv.FormatFloat(f, 'f', 1, 64)
	case f < 1e15:
		return grouped(strconv.FormatInt(int64(math.Round(f)), 10))
	}
	return strconv.FormatFloat(f, 'g', 4, 64)
}

// seconds writes a duration with three digits or so.
func seconds(f float64) string {
	if math.Abs(f) >= math.MaxInt64/1e9 {
		return strconv.FormatFloat(f, 'g', 4, 64) + "s"
	}
	return short(time.Duration(f * 1e9))
}

func short(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + short(-max(d, -math.MaxInt64))
	case d == 0:
		return "0s"
	case d < time.Microsecond:
		return d.String()
	case d < time.Millisecond:
		return d.Round(100 * time.Nanosecond).String()
	case d < time.Second:
		return d.Round(100 * time.Microsecond).String()
	case d < time.Minute-50*time.Millisecond: // what is more rounds to a minute
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		return twoUnits(d, time.Minute, "m", time.Second, "s")
	case d < 48*time.Hour:
		return twoUnits(d, time.Hour, "h", time.Minute, "m")
	}
	return twoUnits(d, 24*time.Hour, "d", time.Hour, "h")
}

// twoUnits writes 1h5m, and 1h rather than 1h0m.
func twoUnits(d, large time.Duration, l string, small time.Duration, s string) string {
	d = d.Round(small)
	text := strconv.Itoa(int(d/large)) + l
	if rest := d % large / small; rest > 0 {
		text += strconv.Itoa(int(rest)) + s
	}
	return text
}

// age writes how long ago something was. The clock of another machine may be ahead: that is now.
func age(d time.Duration) string {
	if d < time.Second {
		return "now"
	}
	return short(d.Round(time.Second)) + " ago"
}

func byteSize(f float64) string {
	for _, unit := range []string{"B", "KiB", "MiB", "GiB"} {
		if math.Abs(f) < 1024 || unit == "GiB" {
			if unit == "B" || f == math.Trunc(f) {
				return strconv.FormatFloat(f, 'f', 0, 64) + " " + unit
			}
			return strconv.FormatFloat(f, 'f', 1, 64) + " " + unit
		}
		f /= 1024
	}
	return ""
}

// grouped writes a whole number as 1,234,567, digit by digit: a float would round a large one. Anything
// else stays as it is.
func grouped(digits string) string {
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	if len(digits) <= 3 || strings.Trim(digits, "0123456789") != "" {
		return sign + digits
	}
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return sign + b.String()
}
