package earshot

import (
	"slices"
	"strings"

	names "github.com/earshot-go/earshot/internal/pattern"
)

// pattern is what a subscription by pattern looks for. It is immutable.
type pattern struct {
	*names.Pattern
	internal bool // may match the server's own channels
	sub      *subscription
}

// parsePattern returns the hint of what is wrong if text is not a pattern.
func parsePattern(text string) (p *pattern, hint string) {
	parsed, hint := names.Parse(text)
	return &pattern{Pattern: parsed, internal: isOwn(text)}, hint
}

// ownChannels begins the names of the server's own channels.
const ownChannels = "earshot."

func isOwn(name string) bool { return strings.HasPrefix(name, ownChannels) }

// match reports whether name matches. It does not allocate.
func (p *pattern) match(name string) bool {
	return (p.internal || !isOwn(name)) && p.Match(name)
}

// matchAny reports whether some installed pattern, or some tap, matches name.
func (s *Server) matchAny(name string) bool {
	if s.tapped.Load().want(name) {
		return true
	}
	if ps := s.patterns.Load(); ps != nil {
		for _, p := range *ps {
			if p.match(name) {
				return true
			}
		}
	}
	return false
}

// anyHears is matchAny for any name: patterns match strings only.
func (s *Server) anyHears(name any) bool {
	if text, ok := name.(string); ok {
		return s.matchAny(text)
	}
	return len(s.wires()) > 0 && s.tapped.Load().want(NameText(name))
}

// subscribePattern marks the topics that match, and is consulted once for each that comes later.
func (s *Server) subscribePattern(b *box, text string) (Ref, error) {
	at := caller()
	p, hint := parsePattern(text)
	if hint != "" {
		return Ref{}, siteError("subscribe pattern", text, at, ErrBadPattern, hint)
	}
	if b.overflow == Block {
		return Ref{}, siteError("subscribe pattern", text, at, ErrNotAllowed, "")
	}
	s.mu.Lock()
	defer s.unlock()
	if err := s.refuseLocked(b); err != nil {
		return Ref{}, siteError("subscribe pattern", text, at, err, "")
	}
	s.toRingLocked(b)
	sub := s.newSubLocked(b, text, at)
	p.sub, sub.pattern = sub, p
	s.setPatternsLocked(func(ps []*pattern) []*pattern { return append(ps, p) })
	s.names.countAll(1)
	s.names.all(func(t *topic) bool {
		if p.matchTopic(t) {
			if l := t.live.Load(); l != nil {
				s.forwardLocked(l, sub)
			} else {
				s.openLocked(t) // for all patterns that match, this one among them
			}
		}
		return true
	})
	s.announceSubLocked(Subscribed, sub)
	return Ref{sub}, nil
}

func (p *pattern) matchTopic(t *topic) bool {
	name, ok := t.name.(string)
	return ok && p.match(name)
}

func (s *Server) setPatternsLocked(change func([]*pattern) []*pattern) {
	var old []*pattern
	if ps := s.patterns.Load(); ps != nil {
		old = *ps
	}
	ps := change(slices.Clone(old))
	s.patterns.Store(&ps)
}

// manyUnheard is how many names that only patterns listen to are remembered. Beyond it they are all
// forgotten, and each comes to life again, counting from one, at its next event: a tap on names
// without end needs memory without end otherwise.
const manyUnheard = 1 << 14

// discoverTerm is discover for a name that is not a string and may be unusable.
func (s *Server) discoverTerm(name any) *topic {
	if !usable(name) || !s.anyHears(name) {
		return nil
	}
	return s.discover(name)
}

// discover brings a name to life that has no topic and that a pattern or a tap matches.
func (s *Server) discover(name any) *topic {
	s.mu.Lock()
	defer s.unlock()
	if s.state == stopped || !s.anyHears(name) {
		return nil
	}
	if t := find(&s.names, name); t != nil {
		return t
	}
	s.forgetLocked()
	t := s.topicLocked(name)
	s.openLocked(t)
	s.unheard[t] = struct{}{}
	return t
}

// forgetLocked forgets the names that only patterns listen to if they are too many.
func (s *Server) forgetLocked() {
	if len(s.unheard) < manyUnheard {
		return
	}
	for t := range s.unheard {
		if l := t.live.Load(); l != nil && len(l.cursors) == 0 && s.onlyPatternsLocked(l) {
			s.closeLogLocked(l)
		}
	}
	clear(s.unheard)
}

// onlyPatternsLocked reports whether nobody has subscribed to a log by its name.
func (s *Server) onlyPatternsLocked(l *log) bool {
	if l.topic.Load().declared {
		return false
	}
	for _, f := range l.forwards {
		if f.sub.pattern == nil {
			return false
		}
	}
	return true
}
