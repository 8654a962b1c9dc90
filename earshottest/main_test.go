package earshottest_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A recorder stands in for the test of a user of this package, to see it fail.
type recorder struct {
	testing.TB // not used but for its private method

	mu       sync.Mutex // guards the fields below
	failures []string
	logs     []string
	cleanups []func()
}

func (r *recorder) Helper()                      {}
func (r *recorder) Name() string                 { return "TestOfAUser" }
func (r *recorder) Errorf(text string, v ...any) { r.add(&r.failures, text, v...) }
func (r *recorder) Logf(text string, v ...any)   { r.add(&r.logs, text, v...) }
func (r *recorder) Fatalf(text string, v ...any) {
	r.add(&r.failures, text, v...)
	runtime.Goexit()
}

func (r *recorder) Cleanup(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, f)
}

func (r *recorder) add(to *[]string, text string, v ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*to = append(*to, fmt.Sprintf(text, v...))
}

// run runs a test as the testing package does and returns the text of its failures and its log.
func run(test func(testing.TB)) (failures, log string) {
	r := &recorder{}
	for _, f := range []func(){func() { test(r) }, r.cleanUp} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			f()
		}()
		<-done
	}
	return strings.Join(r.failures, "\n"), strings.Join(r.logs, "\n")
}

func (r *recorder) cleanUp() {
	for i := len(r.cleanups) - 1; i >= 0; i-- {
		r.cleanups[i]()
	}
}
