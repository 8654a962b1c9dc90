package bus

import "github.com/earshot-go/earshot/internal/pattern"

// Match reports whether a name matches one of the patterns of a Tail's Hint: segments between dots are equal,
// "*" stands for one segment and a last "**" for one or more, as in patterns of package earshot. What is no such
// pattern matches itself alone, as every text does. No patterns match every name.
func Match(patterns []string, name string) bool {
	for _, text := range patterns {
		if text == name {
			return true
		}
		if p, hint := pattern.Parse(text); hint == "" && p.Match(name) {
			return true
		}
	}
	return len(patterns) == 0
}
