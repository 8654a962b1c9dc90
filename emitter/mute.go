package emitter

import (
	"log/slog"
	"sync"
	"time"
)

// A mute lets one message a second through, and counts the others.
type mute struct {
	mu   sync.Mutex
	last time.Time
	kept int
}

func (m *mute) ask() (kept int, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if !m.last.IsZero() && now.Sub(m.last) < time.Second {
		m.kept++
		return 0, false
	}
	kept, m.kept, m.last = m.kept, 0, now
	return kept, true
}

// log writes what nobody listens to.
func (e *Emitter) log(message string, err error) {
	kept, ok := e.muted.ask()
	if !ok {
		return
	}
	logger := e.logger
	if logger == nil {
		logger = slog.Default()
	}
	args := []any{"emitter", e.name, "error", err}
	if kept > 0 {
		args = append(args, "unlogged", kept)
	}
	logger.Warn("earshot: "+message, args...)
}
