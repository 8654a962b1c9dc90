package web

import (
	"cmp"
	"math"
	"reflect"
	"strconv"
)

// A number is an integer, exact up to 64 bits with a sign, or a float.
// Numbers never pass through a float64 on their way to the page, or the last
// digits of a large counter would be made up.
type number struct {
	neg   bool
	size  uint64 // of an integer, without the sign
	frac  float64
	float bool
}

// toNumber reads a number of any of Go's types, named ones included.
func toNumber(v any) (number, bool) {
	switch n := v.(type) { // those of nearly all cells, without reflect
	case int:
		return integer(int64(n)), true
	case int64:
		return integer(n), true
	case uint64:
		return number{size: n}, true
	case float64:
		return number{frac: n, float: true}, true
	case nil:
		return number{}, false
	}
	rv := reflect.ValueOf(v)
	switch {
	case rv.CanInt():
		return integer(rv.Int()), true
	case rv.CanUint():
		return number{size: rv.Uint()}, true
	case rv.CanFloat():
		return number{frac: rv.Float(), float: true}, true
	}
	return number{}, false
}

func integer(n int64) number {
	if n < 0 {
		return number{neg: true, size: -uint64(n)}
	}
	return number{size: uint64(n)}
}

func (n number) toFloat() float64 {
	switch {
	case n.float:
		return n.frac
	case n.neg:
		return -float64(n.size)
	}
	return float64(n.size)
}

func (n number) isZero() bool {
	if n.float {
		return n.frac == 0
	}
	return n.size == 0
}

// finite reports whether JSON and a reader have a way to write it.
func (n number) finite() bool {
	return !n.float || !math.IsNaN(n.frac) && !math.IsInf(n.frac, 0)
}

// add is exact as long as the sum of integers is one.
func (n number) add(m number) number {
	if n.float || m.float {
		return number{frac: n.toFloat() + m.toFloat(), float: true}
	}
	if n.neg == m.neg {
		if sum := n.size + m.size; sum >= n.size {
			return number{neg: n.neg, size: sum}
		}
		return number{frac: n.toFloat() + m.toFloat(), float: true}
	}
	if n.size >= m.size {
		n.size -= m.size
	} else {
		n = number{neg: m.neg, size: m.size - n.size}
	}
	n.neg = n.neg && n.size > 0
	return n
}

func (n number) compare(m number) int {
	if n.float || m.float {
		return cmp.Compare(n.toFloat(), m.toFloat())
	}
	switch {
	case n.neg != m.neg && n.neg:
		return -1
	case n.neg != m.neg:
		return 1
	case n.neg:
		return cmp.Compare(m.size, n.size)
	}
	return cmp.Compare(n.size, m.size)
}

// append writes the number as JSON and Prometheus do, exactly.
func (n number) append(b []byte) []byte {
	if n.float {
		f := n.frac
		if f == math.Trunc(f) && math.Abs(f) < 1e15 { // 12, not 1.2e+01
			return strconv.AppendFloat(b, f, 'f', -1, 64)
		}
		if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
			return strconv.AppendFloat(b, f, 'e', -1, 64)
		}
		return strconv.AppendFloat(b, f, 'f', -1, 64)
	}
	if n.neg {
		b = append(b, '-')
	}
	return strconv.AppendUint(b, n.size, 10)
}

// appendGrouped writes an integer with a comma before each three digits.
func (n number) appendGrouped(b []byte) []byte {
	if n.neg {
		b = append(b, "\u2212"...)
	}
	digits := strconv.AppendUint(nil, n.size, 10)
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b = append(b, ',')
		}
		b = append(b, d)
	}
	return b
}
