package emitter_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/membus"
	"github.com/earshot-go/earshot/emitter"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test outside of a bubble waits for what has to happen.
const patience = 30 * time.Second

func newServer(t testing.TB) *earshot.Server {
	t.Helper()
	s := earshot.NewServer(nil)
	t.Cleanup(func() {
		require.NoError(t, s.Close())
		require.NoError(t, s.Shutdown(context.Background()))
	})
	return s
}

// newEmitter returns an emitter on a server of its own, which is closed at the test's end and does not wait for
// its engine then.
func newEmitter(t testing.TB, opts emitter.Options) *emitter.Emitter {
	t.Helper()
	if opts.Server == nil {
		opts.Server = newServer(t)
	}
	e := emitter.New(&opts)
	t.Cleanup(func() { e.Close(ended()) })
	return e
}

func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// inBubble is a test with its own clock.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// everywhere runs a test in memory and over a bus: to listeners there is no difference.
func everywhere(t *testing.T, f func(t *testing.T, e *emitter.Emitter)) {
	t.Helper()
	everywhereWith(t, emitter.Options{}, f)
}

func everywhereWith(t *testing.T, opts emitter.Options, f func(t *testing.T, e *emitter.Emitter)) {
	t.Helper()
	for _, kind := range []struct {
		name string
		bus  func() bus.Bus
	}{
		{"memory", func() bus.Bus { return nil }},
		{"bus", func() bus.Bus { return membus.New(nil) }},
		{"forgetful bus", func() bus.Bus { return membus.New(&membus.Options{NoReplay: true}) }},
	} {
		t.Run(kind.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				o := opts
				o.Bus = kind.bus()
				f(t, newEmitter(t, o))
			})
		})
	}
}

// notes are what listeners write down.
type notes struct {
	mu   sync.Mutex
	list []string
}

func (n *notes) add(s string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, s)
}

// take returns what was written since the last call, in a bubble in which nothing moves any more.
func (n *notes) take() []string {
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	list := n.list
	n.list = nil
	return list
}

// note returns a listener that writes a word, and the data if there is some.
func (n *notes) note(word string) func(context.Context, emitter.Event) error {
	return func(_ context.Context, ev emitter.Event) error {
		if ev.Data != nil {
			n.add(word + ":" + text(ev))
		} else {
			n.add(word)
		}
		return nil
	}
}

// text returns data that is a number or a string.
func text(ev emitter.Event) string {
	var v any
	if err := ev.Decode(&v); err != nil {
		return err.Error()
	}
	return fmt.Sprint(v)
}

func nothing(context.Context, emitter.Event) error { return nil }

// own are the names of the emitter's own events.
var own = []string{emitter.Connect, emitter.Disconnect, emitter.Reconnect, emitter.Error, emitter.Gap, emitter.Drop}

// diary registers for all of the emitter's own events, and keeps their data.
type diary struct {
	notes
	data map[string][]any
}

func keepDiary(t testing.TB, e *emitter.Emitter) *diary {
	t.Helper()
	d := &diary{data: map[string][]any{}}
	for _, name := range own {
		on(t, e, name, func(_ context.Context, ev emitter.Event) error {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.list = append(d.list, name)
			d.data[name] = append(d.data[name], ev.Data)
			return nil
		})
	}
	return d
}

// of returns the data of all events of a name.
func (d *diary) of(name string) []any {
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.data[name])
}

func on(t testing.TB, e *emitter.Emitter, name string, fn func(context.Context, emitter.Event) error) emitter.Ref {
	t.Helper()
	ref, err := e.On(name, fn)
	require.NoError(t, err)
	return ref
}

func emit(t testing.TB, e *emitter.Emitter, name string, data any) {
	t.Helper()
	require.NoError(t, e.Emit(context.Background(), name, data))
}

// logged returns a logger and what it has written.
func logged() (*slog.Logger, func() string) {
	w := &writer{}
	return slog.New(slog.NewTextHandler(w, nil)), w.text
}

type writer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (w *writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.Write(p)
}

func (w *writer) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}

// nextLine is the place of the line after its call, as the emitter writes it.
func nextLine() string {
	_, file, line, _ := runtime.Caller(1)
	return fmt.Sprintf("%s/%s:%d", filepath.Base(filepath.Dir(file)), filepath.Base(file), line+1)
}

// finished reports whether a channel is closed or has something to receive, when nothing moves any more.
func finished[T any](ch <-chan T) bool {
	synctest.Wait()
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// inBackground runs f and returns what it will return.
func inBackground(f func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	return done
}

// answer returns what comes from ch within some virtual time.
func answer(t testing.TB, ch <-chan error, within time.Duration) error {
	t.Helper()
	select {
	case err := <-ch:
		return err
	case <-time.After(within + time.Millisecond):
		require.Fail(t, "no answer", "within %v", within)
		return nil
	}
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

var raceDetector = func() bool {
	info, _ := debug.ReadBuildInfo()
	return info != nil && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}()
