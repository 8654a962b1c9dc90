package emitter

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"

	"github.com/earshot-go/earshot/internal/pattern"
)

// A Ref identifies one registration of a listener. It is comparable; the zero Ref identifies none.
type Ref struct{ l *listener }

// String returns where the listener was registered.
func (r Ref) String() string {
	if r.l == nil {
		return "no listener"
	}
	return r.l.site() + " of " + r.l.name
}

// listener is what a Ref refers to. All but gone is immutable once it is registered.
type listener struct {
	name    string           // of the events, or the pattern's text
	pattern *pattern.Pattern // nil if registered by name
	place   int64            // in the order of calls: smaller first
	once    bool
	fn      func(context.Context, Event) error
	pcs     [4]uintptr // where it was registered
	gone    atomic.Bool
}

func newListener(name string, fn func(context.Context, Event) error) *listener {
	l := &listener{name: name, fn: fn}
	runtime.Callers(3, l.pcs[:])
	return l
}

const ownPrefix = "github.com/earshot-go/earshot/emitter."

// site returns "dir/file.go:line" of the call that registered the listener.
func (l *listener) site() string {
	n := 0
	for n < len(l.pcs) && l.pcs[n] != 0 {
		n++
	}
	frames := runtime.CallersFrames(l.pcs[:n])
	for {
		f, more := frames.Next()
		if !more || !strings.HasPrefix(f.Function, ownPrefix) {
			file := f.File
			if i := strings.LastIndexByte(file, '/'); i >= 0 {
				file = file[strings.LastIndexByte(file[:i], '/')+1:]
			}
			return fmt.Sprintf("%s:%d", file, f.Line)
		}
	}
}

// take reports whether the listener is to be called now. A second call of a Once is refused here.
func (l *listener) take() bool {
	if l.once {
		return !l.gone.Swap(true)
	}
	return !l.gone.Load()
}

// The names of the events that the emitter itself emits. They never leave the process, and Emit refuses them.
const (
	Connect    = "connect"    // the engine answers for the first time; data: nil
	Disconnect = "disconnect" // it does not any more; data: error
	Reconnect  = "reconnect"  // it does again; data: the time.Duration since disconnect
	Error      = "error"      // something failed and goes on; data: error, *ListenerError for a listener
	Gap        = "gap"        // events of others may be missing here; data: *bus.GapError
	Drop       = "drop"       // own events will never be sent; data: *Dropped
)

func reserved(name string) bool {
	switch name {
	case Connect, Disconnect, Reconnect, Error, Gap, Drop:
		return true
	}
	return false
}

// Dropped is the data of a drop event: events that the engine had not accepted, and never will. Several are told
// together.
type Dropped struct {
	Count  int
	Oldest string // the name of the first of them
	Err    error  // why
}

func (d *Dropped) Error() string {
	return fmt.Sprintf("emitter: %d events dropped, the first %q: %v", d.Count, d.Oldest, d.Err)
}

func (d *Dropped) Unwrap() error { return d.Err }
