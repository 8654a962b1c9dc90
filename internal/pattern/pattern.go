// Package pattern has the one grammar of patterns that earshot's packages understand: segments between dots
// must be equal, "*" stands for one segment and a last "**" for one or more.
package pattern

import "strings"

// A Pattern matches dotted names. It is immutable.
type Pattern struct {
	segments []string
	rest     bool // the last segment is "**"
}

// Parse returns a hint of what is wrong if text is not a pattern.
func Parse(text string) (p *Pattern, hint string) {
	p = &Pattern{segments: strings.Split(text, ".")}
	for i, s := range p.segments {
		switch {
		case s == "":
			return nil, "empty segment"
		case s == "**" && i < len(p.segments)-1:
			return nil, `"**" before the last segment`
		case s == "**":
			p.rest = true
			p.segments = p.segments[:i]
		case s != "*" && strings.ContainsAny(s, "*?[]{}\\ \t\r\n\x00"):
			return nil, "segment " + quoteShort(s) + ` is neither "*", "**" nor plain text`
		}
	}
	return p, ""
}

func quoteShort(s string) string {
	if len(s) > 40 {
		s = s[:40] + "…"
	}
	return `"` + strings.ToValidUTF8(s, "�") + `"`
}

// Match reports whether name matches. It does not allocate.
func (p *Pattern) Match(name string) bool {
	for i, want := range p.segments {
		got, rest, more := strings.Cut(name, ".")
		if want != "*" && want != got || got == "" {
			return false
		}
		if last := i == len(p.segments)-1; last && !p.rest {
			return !more
		} else if !more {
			return false // the pattern goes on and the name does not
		}
		name = rest
	}
	return p.rest && name != ""
}
