package earshot

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
)

// A Ref identifies one subscription. It is comparable and may be a map key; the zero Ref identifies
// none. Keeping a Ref keeps a few words of memory, not the subscription.
type Ref struct{ sub *subscription }

// String returns a short name for the reference that is unique in its process.
func (r Ref) String() string {
	if r.sub == nil {
		return "ref#0"
	}
	return "ref#" + strconv.FormatUint(r.sub.id, 10)
}

// Channel returns the name that was subscribed to, or the text of the pattern; nil for the zero Ref.
func (r Ref) Channel() any {
	if r.sub == nil {
		return nil
	}
	return r.sub.name
}

// subscription is what a Ref refers to.
type subscription struct {
	id      uint64
	box     *box
	at      site
	pattern *pattern    // nil for one by name
	name    any         // the channel's name, or the pattern's text
	ended   atomic.Bool // no message of this Ref any more

	count  tally  // what came through the ring; guarded by its mu
	lost   uint64 // missed before the oldest in the ring; guarded by the ring's mu
	owed   uint64 // missed before the next that comes; likewise
	inRing int    // how many of its events are in the ring; likewise

	// Guarded by Server.mu.
	cur      *cursor    // while it reads its log in place
	forwards []*forward // while it reads from the ring
	place    int        // in box.subs
	reason   error      // why it ended
	told     bool       // its monitors have been told
	monitors []chan Down
}

var lastID atomic.Uint64

// A site is a place in the program outside this package.
type site struct{ pcs [6]uintptr }

func caller() (s site) {
	runtime.Callers(3, s.pcs[:])
	return s
}

const ownPrefix = "github.com/earshot-go/earshot."

// String returns the site as "dir/file.go:line".
func (s site) String() string {
	if s.pcs[0] == 0 {
		return "unknown"
	}
	n := 0
	for n < len(s.pcs) && s.pcs[n] != 0 {
		n++
	}
	frames := runtime.CallersFrames(s.pcs[:n])
	for {
		f, more := frames.Next()
		if !more || !strings.HasPrefix(f.Function, ownPrefix) {
			file := f.File
			if i := strings.LastIndexByte(file, '/'); i >= 0 {
				if j := strings.LastIndexByte(file[:i], '/'); j >= 0 {
					file = file[j+1:]
				}
			}
			return fmt.Sprintf("%s:%d", file, f.Line)
		}
	}
}
