package bustest

import (
	"fmt"
	"sync"

	"github.com/earshot-go/earshot/event"
)

// A history is what publishers have done to a stream. What feeds have had of it is held against it. All methods may
// be called from many goroutines.
type history struct {
	mu       sync.Mutex
	events   map[string]event.Event
	accepted map[string]bool
	order    map[string][]string // by publisher: what was tried for the first time, in this order
}

func newHistory() *history {
	return &history{events: map[string]event.Event{}, accepted: map[string]bool{}, order: map[string][]string{}}
}

// try says that events are about to be published. They may come from now on.
func (h *history) try(publisher string, evs ...event.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, ev := range evs {
		if _, again := h.events[ev.ID]; !again {
			h.events[ev.ID] = ev
			h.order[publisher] = append(h.order[publisher], ev.ID)
		}
	}
}

// accept says that Publish has returned nil for events. They must come from now on.
func (h *history) accept(evs ...event.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, ev := range evs {
		h.accepted[ev.ID] = true
	}
}

// here returns how many events have been accepted.
func (h *history) here() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.accepted)
}

// known tells what is wrong with an event that has come, or returns "".
func (h *history) known(got event.Event) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	ev, ok := h.events[got.ID]
	if !ok {
		return fmt.Sprintf("%s was never published", got.ID)
	}
	if diff := difference(ev, got); diff != "" {
		return fmt.Sprintf("%s has come changed: %s", got.ID, diff)
	}
	return ""
}

// missing returns the accepted events that have not come, of which skip tells those that had not to.
func (h *history) missing(came []string, skip map[string]bool) (ids []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	seen := map[string]bool{}
	for _, id := range came {
		seen[id] = true
	}
	for _, publisher := range h.order {
		for _, id := range publisher {
			if h.accepted[id] && !seen[id] && !skip[id] {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// misplaced returns the first event that came, for the first time, before one that its publisher had published earlier,
// or "". Copies do not count: a retry may come late.
func (h *history) misplaced(came []string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := map[string]int{}
	for i, id := range came {
		if _, again := first[id]; !again {
			first[id] = i
		}
	}
	for publisher, ids := range h.order {
		last, lastID := -1, ""
		for _, id := range ids {
			at, ok := first[id]
			if !ok {
				continue
			}
			if at < last {
				return fmt.Sprintf("%s of %s has come before %s", id, publisher, lastID)
			}
			last, lastID = at, id
		}
	}
	return ""
}

// torn returns what is missing within the end of a stream: when an event has come, all that its publisher has published
// after it have to.
func (h *history) torn(came []string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	seen := map[string]bool{}
	for _, id := range came {
		seen[id] = true
	}
	for publisher, ids := range h.order {
		begun := ""
		for _, id := range ids {
			if seen[id] && begun == "" {
				begun = id
			}
			if !seen[id] && begun != "" && h.accepted[id] {
				return fmt.Sprintf("%s of %s has not come, though %s has, which is older", id, publisher, begun)
			}
		}
	}
	return ""
}
