package rethinkdb

// A memory has the hashes of documents of the last while, to know a second copy.
type memory struct {
	at     map[uint64]int64
	end    int64 // a document with a later ts says that no more copies come
	pruned int
}

func (m *memory) add(places ...pos) {
	if m.at == nil {
		m.at = map[uint64]int64{}
	}
	for _, p := range places {
		m.at[p.hash] = p.us
	}
}

func (m *memory) has(hash uint64) bool {
	_, ok := m.at[hash]
	return ok
}

func (m *memory) until(us int64) { m.end = us }

// pass forgets everything when it is of no more use.
func (m *memory) pass(us int64) {
	if us > m.end && m.at != nil {
		m.at = nil
	}
}

// prune forgets what is older, now and then.
func (m *memory) prune(us int64) {
	if len(m.at) < 2*m.pruned+1024 {
		return
	}
	for hash, at := range m.at {
		if at < us {
			delete(m.at, hash)
		}
	}
	m.pruned = len(m.at)
}
