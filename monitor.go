package earshot

// A Down is the notice that a subscription has ended.
type Down struct {
	Ref        Ref
	Channel    any    // the channel's name, or the pattern's text
	Subscriber string // the mailbox's name, or file:line of where it was made
	// Reason is ErrUnsubscribed, ErrClosed, ErrAbandoned, ErrTooSlow, ErrGoexit, ErrServerClosed, the
	// cause of the context that ended, a *PanicError, or the error that the handler returned;
	// ErrUnknownRef for a Ref that is not this server's.
	Reason error
}

// Monitor returns a channel that receives exactly one Down when the subscription has ended, and is
// closed then. The Down comes after the subscription's last event: for Handle after the handler has
// returned. If the subscription has ended already it is there at once.
//
// Monitor does not block, needs no goroutine, and need not be undone: a channel that is not wanted any
// more can be forgotten.
func (s *Server) Monitor(ref Ref) <-chan Down {
	ch := make(chan Down, 1)
	sub := ref.sub
	if sub == nil || sub.box.srv != s {
		ch <- Down{Ref: ref, Reason: ErrUnknownRef}
		close(ch)
		return ch
	}
	s.mu.Lock()
	defer s.unlock()
	sub.monitors = append(sub.monitors, ch)
	if sub.told {
		s.tellLocked(sub)
	}
	return ch
}

// tellLocked sends the Down of a subscription that has ended to whoever monitors it.
func (s *Server) tellLocked(sub *subscription) {
	sub.told = true
	for _, ch := range sub.monitors {
		ch <- Down{Ref: Ref{sub}, Channel: sub.name, Subscriber: sub.box.who(), Reason: sub.reason}
		close(ch)
	}
	sub.monitors = nil
}
