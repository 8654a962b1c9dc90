package main

// A paint puts colour around text, or does not: NO_COLOR, a pipe, or a terminal that cannot.
type paint bool

func (a *app) paint() paint { return paint(a.term.colour) }

func (p paint) in(code, s string) string {
	if !p || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p paint) bold(s string) string    { return p.in("1", s) }
func (p paint) dim(s string) string     { return p.in("2", s) }
func (p paint) channel(s string) string { return p.in("36", s) }
func (p paint) reverse(s string) string { return p.in("7", s) }

// status colours a text as the state that it tells of.
func (p paint) status(status, s string) string {
	switch status {
	case "ok":
		return p.in("32", s)
	case "warn":
		return p.in("33", s)
	}
	return p.in("31", s)
}
