package filter

import "strings"

// ownChannels begins the names of the server's own channels, which are shown only to those who ask
// for them.
const ownChannels = "earshot."

// A pattern matches dotted names.
type pattern struct {
	text     string
	segments []string
	own      bool
}

func newPattern(text string) pattern {
	return pattern{text, strings.Split(text, "."), strings.HasPrefix(text, ownChannels)}
}

// match reports whether a name matches. Its cost is bounded by the product of the lengths: after a
// mismatch it goes back to the last ** only, since what an earlier one could take, that one can too.
func (p *pattern) match(name string) bool {
	if strings.HasPrefix(name, ownChannels) && !p.own {
		return false
	}
	left := name // what is left of the name; more tells whether that is another segment or the end
	more := true
	want := p.segments
	var backLeft string // where to go on after a mismatch, and with what
	var backMore bool
	var backWant []string
	for {
		switch {
		case len(want) > 0 && want[0] == "**":
			if !more || name == "" {
				return false
			}
			_, left, more = strings.Cut(left, ".")
			want = want[1:]
			backLeft, backMore, backWant = left, more, want
			continue
		case len(want) == 0 && !more:
			return true
		case len(want) > 0 && more:
			if segment, rest, another := strings.Cut(left, "."); matchSegment(want[0], segment) {
				left, more, want = rest, another, want[1:]
				continue
			}
		}
		if backWant == nil || !backMore {
			return false
		}
		_, backLeft, backMore = strings.Cut(backLeft, ".")
		left, more, want = backLeft, backMore, backWant
	}
}

// matchSegment: a star does not stand for a segment that is empty, as in the patterns that
// mailboxes subscribe to.
func matchSegment(want, got string) bool {
	if got == "" {
		return want == ""
	}
	return glob(want, got)
}

// glob reports whether a text matches a pattern in which * stands for any run of characters.
func glob(pattern, text string) bool {
	star, mark := -1, 0
	p, t := 0, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, t
			p++
		case p < len(pattern) && pattern[p] == text[t]:
			p++
			t++
		case star >= 0:
			mark++
			p, t = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
