package redis

import "time"

// LimitReplies makes a reply of more bytes errLarge.
func (b *Bus) LimitReplies(n int64) { b.most = n }

// Idle counts the connections that are not in use.
func (s *Store) Idle() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.idle)
}

// PatrolEvery sets how often the server is asked what is due. It is to be called before Wait.
func (s *Store) PatrolEvery(d time.Duration) { s.timing.patrol = d }

// LeaseScript is what the server runs for Lease.
func LeaseScript() string { return leaseScript.text }
