package earshottest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/earshottest"
	"github.com/stretchr/testify/require"
)

type job struct {
	ID   int
	Kind string
}

// What a user writes, and what becomes of it: an empty text is success.
func TestExpectations(t *testing.T) {
	jobs := func(kinds ...string) (all []job) {
		for i, kind := range kinds {
			all = append(all, job{i + 1, kind})
		}
		return all
	}
	mail := func(j job) bool { return j.Kind == "mail" }
	wrong := func(j job) error { return fmt.Errorf("%s is wrong", j.Kind) }
	right := func(job) error { return nil }
	for name, test := range map[string]struct {
		send   []job
		expect func(*earshottest.Watcher[job])
		fails  []string // parts of the failure's text
	}{
		"values":           {jobs("mail", "print"), func(w *earshottest.Watcher[job]) { w.Expect(job{1, "mail"}, job{2, "print"}) }, nil},
		"others between":   {jobs("a", "mail", "b", "mail", "c"), func(w *earshottest.Watcher[job]) { w.Expect(mail, mail) }, nil},
		"functions":        {jobs("a", "mail", "b"), func(w *earshottest.Watcher[job]) { w.ExpectExactly(func(job) {}, mail, right) }, nil},
		"Type":             {jobs("a"), func(w *earshottest.Watcher[job]) { w.ExpectExactly(earshottest.Type[job]()) }, nil},
		"interface filter": {jobs("a"), func(w *earshottest.Watcher[job]) { w.ExpectExactly(func(any) bool { return true }) }, nil},
		"one after the other": {jobs("a", "mail", "b"), func(w *earshottest.Watcher[job]) {
			w.Expect(job{1, "a"})
			w.ExpectExactly(job{2, "mail"}, job{3, "b"})
			w.ExpectNothing()
		}, nil},
		"nothing, and exactly nothing": {nil, func(w *earshottest.Watcher[job]) { w.ExpectNothing(); w.ExpectExactly(); w.Expect() }, nil},

		"a value that is not there": {jobs("a", "b"), func(w *earshottest.Watcher[job]) { w.Expect(job{1, "a"}, job{3, "c"}) }, []string{
			`earshottest: Expect on channel "jobs": no event meets want[1] (context deadline exceeded)`,
			"want[0]  earshottest_test.job{ID:1 Kind:a}  <- event 0",
			"want[1]  earshottest_test.job{ID:3 Kind:c}",
			"event 0  earshottest_test.job{ID:1 Kind:a}",
			"event 1  earshottest_test.job{ID:2 Kind:b}",
		}},
		"the wrong order": {jobs("a", "b"), func(w *earshottest.Watcher[job]) { w.Expect(job{2, "b"}, job{1, "a"}) }, []string{"no event meets want[1]"}},
		"nothing at all": {nil, func(w *earshottest.Watcher[job]) { w.Expect(mail) }, []string{
			"no event meets want[0]", "want[0]  func(earshottest_test.job) bool (earshottest_test.go:", "received nothing",
		}},
		"a function's own words": {jobs("a"), func(w *earshottest.Watcher[job]) { w.Expect(wrong) }, []string{"event 0  earshottest_test.job{ID:1 Kind:a}  (want[0]: a is wrong)"}},
		"exactly, but another": {jobs("a", "b"), func(w *earshottest.Watcher[job]) { w.ExpectExactly(job{1, "a"}, mail) }, []string{
			`ExpectExactly on channel "jobs": event 1 does not meet want[1]`,
		}},
		"exactly, but fewer": {jobs("a"), func(w *earshottest.Watcher[job]) { w.ExpectExactly(right, right) }, []string{"no event for want[1]"}},
		"exactly, but more":  {jobs("a", "b"), func(w *earshottest.Watcher[job]) { w.ExpectExactly(right) }, []string{"event 1 was not expected"}},
		"nothing, but one": {jobs("a"), func(w *earshottest.Watcher[job]) { w.ExpectNothing() }, []string{
			`ExpectNothing on channel "jobs": event 0 was not expected`, "event 0  earshottest_test.job{ID:1 Kind:a}",
		}},
		"what came earlier": {jobs("a", "b"), func(w *earshottest.Watcher[job]) { w.Expect(right); w.ExpectNothing() }, []string{
			"event 1 was not expected", "(1 events went to earlier expectations)",
		}},
		"very many": {make([]job, 60), func(w *earshottest.Watcher[job]) { w.ExpectNothing() }, []string{"event 49", "… and 10 more"}},

		"a value of another type":    {nil, func(w *earshottest.Watcher[job]) { w.Expect(mail, 7) }, []string{"Expect: want[1] is a int, but the events are of type earshottest_test.job"}},
		"a function of another type": {nil, func(w *earshottest.Watcher[job]) { w.Expect(func(int) bool { return true }) }, []string{"is a func(int) bool, but the events are of type"}},
		"a function too long":        {nil, func(w *earshottest.Watcher[job]) { w.Expect(func(job, int) bool { return true }) }, []string{"not a func(E), func(E) bool or func(E) error"}},
		"a function of strings":      {nil, func(w *earshottest.Watcher[job]) { w.Expect(func(job) string { return "" }) }, []string{"not a func(E), func(E) bool or func(E) error"}},
		"a nil function":             {nil, func(w *earshottest.Watcher[job]) { w.Expect((func(job))(nil)) }, []string{"want[0] is a nil func(earshottest_test.job)"}},
		"nil":                        {nil, func(w *earshottest.Watcher[job]) { w.ExpectExactly(nil) }, []string{"want[0] is a <nil>, but the events"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reached := false
				failures, _ := run(func(t testing.TB) {
					srv := earshottest.NewServer(t)
					w := earshottest.Watch[job](t, srv, "jobs")
					for _, j := range test.send {
						earshot.SendEvent(srv, "jobs", j)
					}
					test.expect(w)
					reached = true
				})
				if len(test.fails) == 0 {
					require.Empty(t, failures)
				}
				for _, part := range test.fails {
					require.Contains(t, failures, part)
				}
				require.Equal(t, len(test.fails) == 0, reached, "a failure ends the test")
			})
		})
	}
}

// Expectations wait for what other goroutines send, and no longer than needed.
func TestExpectWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := earshottest.NewServer(t)
		w := earshottest.Watch[int](t, srv, "x")
		for _, expect := range []func(...any){w.Expect, w.ExpectExactly} {
			go func() {
				time.Sleep(time.Second)
				earshot.SendEvent(srv, "x", 1)
				time.Sleep(time.Second)
				earshot.SendEvent(srv, "x", 2)
			}()
			start := time.Now()
			expect(1, 2)
			require.Equal(t, 2*time.Second, time.Since(start))
		}
		failures, _ := run(func(t testing.TB) {
			w := earshottest.Watch[int](t, srv, "x")
			w.Timeout = time.Minute
			w.Expect(3)
		})
		require.Contains(t, failures, "no event meets want[0]")
		start := time.Now()
		w.ExpectNothing()
		require.Zero(t, time.Since(start), "waiting for nothing")
	})
}

// ExpectNothing waits for the handlers, and for what they cause in turn.
func TestExpectNothingSettles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var srv *earshot.Server
		failures, _ := run(func(t testing.TB) {
			srv = earshottest.NewServer(t)
			for i := range 3 {
				c := earshot.NewChannel[int](srv, i, nil)
				c.Handle(context.Background(), func(_ context.Context, msg earshot.Message[int]) error {
					time.Sleep(time.Second)
					earshot.SendEvent(srv, i+1, msg.Event+1)
					return nil
				}, nil)
			}
			w := earshottest.Watch[int](t, srv, 3)
			earshot.SendEvent(srv, 0, 10)
			w.ExpectNothing()
		})
		require.Contains(t, failures, "event 0 was not expected")
		require.Contains(t, failures, "int(13)")
	})
}

// Who does not receive what waits for it is named.
func TestSettleNamesWhoDoesNotReceive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, check := range map[string]func(testing.TB, *earshot.Server, *earshottest.Watcher[int]){
			"Settle":        func(t testing.TB, srv *earshot.Server, _ *earshottest.Watcher[int]) { earshottest.Settle(t, srv) },
			"ExpectNothing": func(_ testing.TB, _ *earshot.Server, w *earshottest.Watcher[int]) { w.ExpectNothing() },
		} {
			failures, _ := run(func(t testing.TB) {
				srv := earshottest.NewServer(t)
				m := earshot.NewMailbox[int](context.Background(), srv, &earshot.MailboxOptions{Name: "put aside"})
				m.Subscribe("x")
				w := earshottest.Watch[int](t, srv, "y")
				earshot.SendEvent(srv, "x", 1)
				check(t, srv, w)
			})
			require.Contains(t, failures, name)
			require.Contains(t, failures, "put aside has 1 events waiting")
		}
	})
}

// Events without end are told apart from a subscriber that is stuck.
func TestSettleWithEventsWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failures, _ := run(func(t testing.TB) {
			srv := earshottest.NewServer(t)
			c := earshot.NewChannel[int](srv, "x", nil)
			c.Handle(context.Background(), func(ctx context.Context, msg earshot.Message[int]) error {
				time.Sleep(time.Second)
				c.Send(msg.Event + 1)
				return nil
			}, nil)
			c.Send(1)
			earshottest.Settle(t, srv)
		})
		require.Contains(t, failures, "earshottest: Settle:")
		require.Contains(t, failures, "deadline exceeded")
	})
}

// A watcher of one type does not mind others, but tells of them; one of any type minds all.
func TestWatchTypes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := earshottest.NewServer(t)
		ints := earshottest.Watch[int](t, srv, "x")
		all := earshottest.Watch[any](t, srv, "x")
		errs := earshottest.Watch[error](t, srv, "x")
		err := errors.New("oh")
		earshot.SendEvent(srv, "x", "text")
		earshot.SendEvent(srv, "x", 1)
		earshot.SendEvent(srv, "x", err)
		earshot.SendEvent[string, any](srv, "x", nil)
		ints.ExpectExactly(1)
		errs.ExpectExactly(err)
		all.ExpectExactly("text", earshottest.Type[int](), func(err error) bool { return err != nil }, nil)
		require.Equal(t, []int{1}, ints.Received())
		require.Equal(t, []any{"text", 1, err, nil}, all.Received())

		failures, _ := run(func(t testing.TB) {
			ints := earshottest.Watch[int](t, srv, "x")
			earshot.SendEvent(srv, "x", "text")
			ints.Expect(2)
		})
		require.Contains(t, failures, `event 0  "text"  (not a int)`)
	})
}

// Patterns, and which channel it was.
func TestWatchPattern(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := earshottest.NewServer(t)
		w := earshottest.WatchPattern[int](t, srv, "db.*")
		earshot.SendEvent(srv, "db.read", 1)
		earshot.SendEvent(srv, "web", 2)
		earshot.SendEvent(srv, "db.write", 1)
		w.ExpectExactly(earshottest.On("db.read", 1), earshottest.On("db.write", earshottest.Type[int]()))
		failures, _ := run(func(t testing.TB) {
			w := earshottest.WatchPattern[int](t, srv, "db.*")
			earshot.SendEvent(srv, "db.write", 1)
			w.ExpectExactly(earshottest.On("db.read", 1))
		})
		for _, part := range []string{`pattern "db.*"`, `want[0]  int(1) on channel "db.read"`, `event 0  int(1) on channel "db.write"`} {
			require.Contains(t, failures, part)
		}
	})
}

// What cannot be watched fails the test at once; what ends fails it when something is expected.
func TestWatchFails(t *testing.T) {
	failures, _ := run(func(t testing.TB) { earshottest.Watch[int](t, earshottest.NewServer(t), []int{1}) })
	require.Contains(t, failures, "earshottest: cannot watch channel []int{1}: ")
	require.Contains(t, failures, earshot.ErrBadName.Error())
	failures, _ = run(func(t testing.TB) { earshottest.WatchPattern[int](t, earshottest.NewServer(t), "a**") })
	require.Contains(t, failures, `cannot watch pattern "a**": `)
	failures, _ = run(func(t testing.TB) {
		srv := earshottest.NewServer(t)
		w := earshottest.Watch[int](t, srv, "x")
		earshot.SendEvent(srv, "x", 1)
		w.Expect(1)
		srv.Close()
		w.ExpectNothing()
		w.Expect(2)
	})
	require.Contains(t, failures, "no event meets want[0] (server closed)")
}

// The server ends with the test; what hangs is named, what failed is in the log.
func TestNewServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var srv *earshot.Server
		failures, log := run(func(t testing.TB) {
			srv = earshottest.NewServer(t)
			earshot.NewChannel[int](srv, "x", nil).Handle(context.Background(), func(context.Context, earshot.Message[int]) error {
				panic("oh no")
			}, nil)
			earshot.SendEvent(srv, "x", 1)
			synctest.Wait()
		})
		require.Empty(t, failures)
		require.Contains(t, log, "oh no")
		_, err := earshot.NewMailbox[int](t.Context(), srv, nil).Subscribe("x")
		require.ErrorIs(t, err, earshot.ErrServerClosed)

		release := make(chan struct{})
		failures, log = run(func(t testing.TB) {
			srv = earshottest.NewServer(t)
			earshot.NewChannel[int](srv, "x", nil).Handle(context.Background(), func(context.Context, earshot.Message[int]) error {
				<-release
				panic("too late for the log")
			}, &earshot.SpawnOptions{Name: "deaf"})
			earshot.SendEvent(srv, "x", 1)
			synctest.Wait()
		})
		require.Contains(t, failures, "earshottest: earshot: shutdown: function does not return: deaf")
		close(release)
		require.NoError(t, srv.Shutdown(t.Context()))
		require.NotContains(t, log, "too late")
	})
}

// Outside a bubble, and on the server of the process.
func TestDefaultServer(t *testing.T) {
	w := earshottest.Watch[int](t, nil, "earshottest")
	earshot.SendEvent(nil, "earshottest", 1)
	w.ExpectExactly(1)
	require.Equal(t, []int{1}, w.Received())
}
