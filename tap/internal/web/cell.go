package web

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/earshot-go/earshot/tap/panel"
)

// A cell is a value, read once for all that is made of it.
type cell struct {
	known bool
	isNum bool
	num   number    // of Count, Rate, Seconds (in seconds), Bytes, Flag; of Time since 1970
	when  time.Time // of Time
	took  time.Duration
	isDur bool
	flag  bool
	text  string // of Text and Code, and of a value that is not what its column says
	link  *panel.Link
}

// read makes a cell of a value. A value of another type than the column
// promises becomes its text: it is shown, and is no number.
func read(kind panel.Kind, v any) cell {
	switch x := v.(type) {
	case nil:
		return cell{}
	case string:
		return cell{known: true, text: x}
	case panel.Link:
		return cell{known: true, text: x.Text, link: &x}
	case *panel.Link:
		if x == nil {
			return cell{}
		}
		return cell{known: true, text: x.Text, link: x}
	case time.Time:
		if x.IsZero() {
			return cell{}
		}
		if kind == panel.Time {
			return cell{known: true, when: x, isNum: true, num: number{frac: float64(x.UnixMilli()) / 1e3, float: true}}
		}
	case time.Duration:
		if kind == panel.Seconds {
			return cell{known: true, took: x, isDur: true, isNum: true, num: number{frac: x.Seconds(), float: true}}
		}
	case bool:
		if kind == panel.Flag {
			c := cell{known: true, flag: x, isNum: true}
			if x {
				c.num.size = 1
			}
			return c
		}
	}
	if kind.Number() {
		if n, ok := toNumber(v); ok {
			if !n.finite() {
				return cell{}
			}
			return cell{known: true, isNum: true, num: n}
		}
	}
	return cell{known: true, text: fmt.Sprint(v)} // contains panics of String and Error itself
}

// shown is the cell as a person reads it.
func (c cell) shown(kind panel.Kind, now time.Time) string {
	switch {
	case !c.known:
		return "–"
	case !c.isNum:
		return c.text
	case kind == panel.Count:
		return count(c.num)
	case kind == panel.Rate:
		return rate(c.num)
	case kind == panel.Seconds:
		return seconds(c)
	case kind == panel.Time:
		return age(c.when, now)
	case kind == panel.Bytes:
		return size(c.num)
	case c.flag:
		return "yes"
	}
	return "no"
}

func count(n number) string {
	if n.float {
		return strconv.FormatFloat(n.frac, 'f', -1, 64)
	}
	return string(n.appendGrouped(nil))
}

// rate has a digit after the point while that means something.
func rate(n number) string {
	if n.isZero() {
		return "0"
	}
	if f := n.toFloat(); n.float && math.Abs(f) < 1e15 {
		switch a := math.Abs(f); {
		case a < 0.05:
			return "<0.1/s"
		case a < 9.95:
			return strconv.FormatFloat(f, 'f', 1, 64) + "/s"
		}
		n = integer(int64(math.Round(f)))
	}
	return count(n) + "/s"
}

// seconds has three digits and the unit that makes them so.
func seconds(c cell) string {
	d := c.took
	if !c.isDur { // a plain number of seconds
		f := c.num.toFloat()
		if math.Abs(f) > 9e9 {
			return strconv.FormatFloat(f, 'g', 3, 64) + " s"
		}
		d = time.Duration(f * 1e9)
	}
	return duration(d)
}

func duration(d time.Duration) string {
	if d < 0 {
		if d == math.MinInt64 {
			d++
		}
		return "\u2212" + duration(-d)
	}
	three := func(unit time.Duration, name string) string {
		f := float64(d) / float64(unit)
		digits := 2
		if f >= 99.95 {
			digits = 0
		} else if f >= 9.995 {
			digits = 1
		}
		return strconv.FormatFloat(f, 'f', digits, 64) + name
	}
	two := func(a int64, an string, b int64, bn string) string {
		return strconv.FormatInt(a, 10) + an + fmt.Sprintf(" %02d", b) + bn
	}
	switch {
	case d == 0:
		return "0 s"
	case d < time.Microsecond:
		return strconv.FormatInt(int64(d), 10) + " ns"
	case d < 999500*time.Nanosecond:
		return three(time.Microsecond, " µs")
	case d < 999500*time.Microsecond:
		return three(time.Millisecond, " ms")
	case d < time.Minute:
		return three(time.Second, " s")
	}
	s := int64(d / time.Second)
	switch {
	case d < time.Hour:
		return two(s/60, " m", s%60, " s")
	case d < 24*time.Hour:
		return two(s/3600, " h", s/60%60, " m")
	}
	return two(s/86400, " d", s/3600%24, " h")
}

// age is how long ago something was, by the clock of the server, which is the
// one that also took the time: the clock of the browser plays no part.
func age(t, now time.Time) string {
	d := now.Sub(t)
	switch {
	case d < -time.Second:
		return "in " + coarse(-d)
	case d < time.Second:
		return "now"
	case d >= 48*time.Hour:
		return t.UTC().Format("2006-01-02 15:04")
	}
	return coarse(d) + " ago"
}

// coarse is a duration without the digits that would change while it is read.
func coarse(d time.Duration) string {
	if d < time.Minute {
		return strconv.FormatInt(int64(d/time.Second), 10) + " s"
	}
	return duration(d.Truncate(time.Second))
}

func size(n number) string {
	f := n.toFloat()
	if math.Abs(f) < 1024 {
		return count(n) + " B"
	}
	for _, unit := range [...]string{" KiB", " MiB", " GiB", " TiB", " PiB"} {
		f /= 1024
		if math.Abs(f) < 1023.95 {
			return strconv.FormatFloat(f, 'f', 1, 64) + unit
		}
	}
	return strconv.FormatFloat(f/1024, 'f', 1, 64) + " EiB"
}
