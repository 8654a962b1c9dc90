package bus

import "strings"

// Match reports whether a name matches one of the patterns of a Tail's Hint: segments between dots are equal,
// "*" stands for one segment and a last "**" for one or more, as in patterns of package earshot. No patterns
// match every name.
func Match(patterns []string, name string) bool {
	for _, p := range patterns {
		if matches(p, name) {
			return true
		}
	}
	return len(patterns) == 0
}

func matches(pattern, name string) bool {
	for {
		p, restP, moreP := strings.Cut(pattern, ".")
		if p == "**" && !moreP {
			return true
		}
		n, restN, moreN := strings.Cut(name, ".")
		if p != "*" && p != n || moreP != moreN {
			return false
		}
		if !moreP {
			return true
		}
		pattern, name = restP, restN
	}
}
