package tap

import "time"

// A limiter lets a number of events pass each period, by the time of the events: at once as many, then
// one each time its share of the period has passed. The zero limiter lets all pass.
type limiter struct {
	most  float64
	each  time.Duration // between two events in the long run
	room  float64
	since time.Time
}

func newLimiter(n int, per time.Duration) limiter {
	return limiter{most: float64(n), each: max(1, per/time.Duration(n)), room: float64(n)}
}

// stricter returns the one that lets fewer pass in the long run.
func (l limiter) stricter(o limiter) limiter {
	if l.each > o.each {
		return l
	}
	return o
}

func (l *limiter) pass(at time.Time) bool {
	if l.each == 0 {
		return true
	}
	if d := at.Sub(l.since); d > 0 { // the clock of a busy tap may run back by a moment
		l.room = min(l.most, l.room+float64(d)/float64(l.each))
		l.since = at
	}
	if l.room < 1 {
		return false
	}
	l.room--
	return true
}

// A sampler lets the first few of every so many pass. The zero sampler lets all pass.
type sampler struct{ keep, of, n uint64 }

func (s *sampler) pass() bool {
	if s.of == 0 {
		return true
	}
	at := s.n % s.of
	s.n++
	return at < s.keep
}
