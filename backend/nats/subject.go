package nats

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// maxSubject is well below the 4096 bytes that a server takes for the line with the subject by default. It closes
// the connection of a client that sends a longer one.
const maxSubject = 3000

const upperHex = "0123456789ABCDEF"

// plain reports whether a byte stands for itself in a subject. NATS takes more than that, but what is not ASCII
// is awkward in permissions and on command lines, and quotes are in the errors with which servers name a subject.
func plain(c byte) bool {
	switch c {
	case '*', '>', '%', '"', '\'', '`', '\\':
		return false
	}
	return c > ' ' && c < 0x7f
}

// appendSegment writes one segment of a name as one token of a subject. An empty token is not allowed in NATS;
// "%" alone stands for it, which no other segment can become.
func appendSegment(dst []byte, segment string) []byte {
	if segment == "" {
		return append(dst, '%')
	}
	for i := range len(segment) {
		if c := segment[i]; plain(c) {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return dst
}

// subject returns where events of a name are published.
func subject(prefix, name string) string {
	dst := append(make([]byte, 0, len(prefix)+1+len(name)+8), prefix...)
	for more := true; more; {
		var segment string
		segment, name, more = strings.Cut(name, ".")
		dst = appendSegment(append(dst, '.'), segment)
	}
	return string(dst)
}

// nameOf is the reverse of subject.
func nameOf(prefix, subject string) (string, error) {
	rest, ok := strings.CutPrefix(subject, prefix+".")
	if !ok {
		return "", fmt.Errorf("subject %q does not begin with %q", subject, prefix+".")
	}
	tokens := strings.Split(rest, ".")
	for i, t := range tokens {
		if t == "%" {
			tokens[i] = ""
			continue
		}
		var b strings.Builder
		for {
			before, after, found := strings.Cut(t, "%")
			b.WriteString(before)
			if !found {
				break
			}
			if len(after) < 2 {
				return "", fmt.Errorf("subject %q: %q is no escape", subject, "%"+after)
			}
			c, err := hex.DecodeString(after[:2])
			if err != nil {
				return "", fmt.Errorf("subject %q: %q is no escape", subject, "%"+after[:2])
			}
			b.Write(c)
			t = after[2:]
		}
		tokens[i] = b.String()
	}
	return strings.Join(tokens, "."), nil
}

// filter returns the subjects that a pattern of a hint may match, as a NATS wildcard.
func filter(prefix, pattern string) string {
	dst := []byte(prefix)
	for more := true; more; {
		var segment string
		segment, pattern, more = strings.Cut(pattern, ".")
		dst = append(dst, '.')
		switch {
		case segment == "*":
			dst = append(dst, '*')
		case segment == "**" && !more:
			dst = append(dst, '>') // one or more, as "**"
		default:
			dst = appendSegment(dst, segment)
		}
	}
	return string(dst)
}

// filters returns the filters for a hint, none of which overlaps with another: a consumer may not have such. A
// hint that cannot be said so is nil, and the feed has all events.
func filters(prefix string, hint []string) []string {
	var kept []string
next:
	for _, pattern := range hint {
		f := filter(prefix, pattern)
		if len(f) > maxSubject || f == prefix+".>" {
			return nil
		}
		for i := 0; i < len(kept); {
			switch {
			case covers(kept[i], f):
				continue next
			case covers(f, kept[i]):
				kept = append(kept[:i], kept[i+1:]...)
			case overlap(kept[i], f):
				return nil
			default:
				i++
			}
		}
		kept = append(kept, f)
	}
	if len(kept) > maxFilters {
		return nil
	}
	return kept
}

// common returns one filter for what several cover. Several subscriptions would each keep the order of their own
// events only.
func common(prefix string, filters []string) string {
	if len(filters) == 1 {
		return filters[0]
	}
	var tokens []string
	for i, f := range filters {
		t := strings.Split(f, ".")
		t = t[:len(t)-1] // the last one, which must match something, becomes ">"
		if i == 0 {
			tokens = t
			continue
		}
		n := 0
		for n < min(len(t), len(tokens)) && t[n] == tokens[n] {
			n++
		}
		tokens = tokens[:n]
	}
	if len(tokens) == 0 {
		return prefix + ".>"
	}
	return strings.Join(tokens, ".") + ".>"
}

// maxFilters bounds what a server has to compare every event with.
const maxFilters = 64

// covers reports whether every subject that matches b matches a as well.
func covers(a, b string) bool {
	for {
		ta, restA, moreA := strings.Cut(a, ".")
		if ta == ">" {
			return true
		}
		tb, restB, moreB := strings.Cut(b, ".")
		if tb == ">" || ta != "*" && ta != tb || moreA != moreB {
			return false
		}
		if !moreA {
			return true
		}
		a, b = restA, restB
	}
}

// overlap reports whether some subject matches both a and b.
func overlap(a, b string) bool {
	for {
		ta, restA, moreA := strings.Cut(a, ".")
		tb, restB, moreB := strings.Cut(b, ".")
		if ta == ">" || tb == ">" {
			return true
		}
		if ta != "*" && tb != "*" && ta != tb || moreA != moreB {
			return false
		}
		if !moreA {
			return true
		}
		a, b = restA, restB
	}
}

// messageID is what the server recognises a second copy by. CloudEvents are the same if source and ID are: two
// sources that count from one do not hide each other's events.
func messageID(source, id string) string {
	dst := make([]byte, 0, len(source)+1+len(id))
	dst = append(appendSegment(dst, source), ' ')
	dst = appendSegment(dst, id)
	if len(dst) > 256 {
		sum := sha256.Sum256(dst)
		return hex.EncodeToString(sum[:])
	}
	return string(dst)
}
