package storetest

// This test is inside the package, because it runs single tests of the suite on something that is no testing.T.

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/earshot-go/earshot/queue"
)

// OpenWire opens the store of the tests that has a wire.
var OpenWire func(url string) (queue.Store, error)

func TestMain(m *testing.M) {
	Main(OpenWire)
	for name, value := range map[string]string{"EARSHOT_KILLS": "40", "EARSHOT_HISTORY": "600ms", "EARSHOT_CUTS": "20"} {
		if os.Getenv(name) == "" {
			os.Setenv(name, value)
		}
	}
	flag.Parse()
	flag.Set("test.parallel", "6") // most tests wait for something
	goleak.VerifyTestMain(m)
}

// Hurry makes the suite less patient, until the test ends. Faulty stores answer at once, or never.
func Hurry(t *testing.T) {
	p, s := patience, stubborn
	t.Cleanup(func() { patience, stubborn = p, s })
	patience, stubborn = 3*time.Second, time.Second
}

// A Record is how a test of the suite has ended.
type Record struct {
	Failed bool
	Log    string
}

// Cases returns the names of the tests of the suite.
func Cases() (names []string) {
	for _, c := range slices.Concat(behaviour, faults) {
		names = append(names, c.name)
	}
	return names
}

// Try runs one test of the suite, by its name, and returns how it has ended. A test that is not for the engine has not
// found anything.
func Try(t *testing.T, name string, open func(t testing.TB) Engine) Record {
	t.Helper()
	for _, c := range slices.Concat(behaviour, faults) {
		if c.name != name {
			continue
		}
		r := &recorder{TB: t, name: t.Name()}
		r.do(func() {
			e := open(r)
			s := e.Open(r, "")
			defer s.Close(t.Context())
			if why := c.needs.missing(claimsOf(s, e)); why != "" {
				t.Errorf("%s is not for this engine: %s", name, why)
			}
		})
		r.do(func() { c.run(r, open) })
		for len(r.cleanups) > 0 {
			last := len(r.cleanups) - 1
			f := r.cleanups[last]
			r.cleanups = r.cleanups[:last]
			r.do(f)
		}
		return Record{r.failed, r.log.String()}
	}
	t.Fatalf("the suite has no test %q", name)
	panic("unreachable")
}

// Alone reports whether nothing may run beside a test of the suite.
func Alone(name string) bool {
	for _, c := range slices.Concat(behaviour, faults) {
		if c.name == name {
			return c.alone
		}
	}
	return false
}

// A recorder is a test whose failure fails nothing.
type recorder struct {
	testing.TB
	name     string
	cleanups []func()

	mu     sync.Mutex // guards the fields below
	failed bool
	log    strings.Builder
}

// do runs f as the testing package does: it may end by Goexit.
func (r *recorder) do(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

func (r *recorder) note(failed bool, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = r.failed || failed
	r.log.WriteString(text + "\n")
}

func (r *recorder) Helper()          {}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Failed() bool     { r.mu.Lock(); defer r.mu.Unlock(); return r.failed }

func (r *recorder) Log(args ...any) { r.note(false, fmt.Sprint(args...)) }
func (r *recorder) Logf(format string, args ...any) {
	r.note(false, fmt.Sprintf(format, args...))
}
func (r *recorder) Fail()             { r.note(true, "failed") }
func (r *recorder) FailNow()          { r.Fail(); runtime.Goexit() }
func (r *recorder) Error(args ...any) { r.note(true, fmt.Sprint(args...)) }
func (r *recorder) Fatal(args ...any) { r.Error(args...); runtime.Goexit() }

func (r *recorder) Errorf(format string, args ...any) {
	r.note(true, fmt.Sprintf(format, args...))
}
func (r *recorder) Fatalf(format string, args ...any) { r.Errorf(format, args...); runtime.Goexit() }
