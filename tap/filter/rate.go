package filter

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxRate is more than can happen.
const maxRate = 1_000_000_000

func (p *parser) rate(start int, negate bool) *Error {
	at := p.pos
	p.pos = p.wordEnd(at)
	word := p.text[at:p.pos]
	const hint = "write rate:50/s, rate:50/m or rate:50/h"
	count, unit, has := strings.Cut(word, "/")
	if !has {
		unit = "s"
	}
	per := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[unit]
	n, err := strconv.Atoi(count)
	switch {
	case negate:
		return p.fail(start, p.pos-start, "a rate cannot be turned round", "leave the minus sign out")
	case p.f.rate > 0:
		return p.fail(start, p.pos-start, "there is a second rate", "leave one out")
	case word == "":
		return p.fail(at, 0, "the rate is missing", hint)
	case !digits(count):
		return p.fail(at, max(1, len(count)), "the rate is not a whole number", hint)
	case err != nil || n < 1 || n > maxRate:
		return p.fail(at, len(count), fmt.Sprintf("the rate is not between 1 and %d", maxRate), hint)
	case per == 0:
		return p.fail(at+len(count), len(word)-len(count), "the time of the rate is none of /s, /m and /h", hint)
	}
	p.f.rate, p.f.per = n, per
	p.canon = append(p.canon, fmt.Sprintf("rate:%d/%s", n, unit))
	return nil
}

func (p *parser) sample(word string, start int, negate bool) *Error {
	p.pos += len(word)
	k, o, _ := strings.Cut(word, "/")
	keep, err1 := strconv.Atoi(k)
	of, err2 := strconv.Atoi(o)
	const hint = `write 1/10 for one in ten; to look for the text, put it in quotes`
	switch {
	case negate:
		return p.fail(start, p.pos-start, "a sample cannot be turned round", "leave the minus sign out; to look for the text, put it in quotes")
	case p.f.of > 0:
		return p.fail(start, p.pos-start, "there is a second sample", "leave one out; to look for the text, put it in quotes")
	case err1 != nil || err2 != nil || keep < 1 || of > maxRate:
		return p.fail(start, len(word), fmt.Sprintf("the numbers of the sample are not between 1 and %d", maxRate), hint)
	case keep > of:
		return p.fail(start, len(word), "the sample keeps more than there are", hint)
	}
	p.f.keep, p.f.of = keep, of
	p.canon = append(p.canon, fmt.Sprintf("%d/%d", keep, of))
	return nil
}
