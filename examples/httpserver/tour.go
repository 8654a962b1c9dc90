package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/earshot-go/earshot"
)

// A tour shows what the events cost, and then the events.
type tour struct {
	app      *app
	url      string
	client   *http.Client
	out      io.Writer
	progress io.Writer
}

// A state is who listens while something is measured.
type state struct {
	name  string
	enter func() (leave func(), err error)
}

func (t *tour) run(ctx context.Context, budget time.Duration) error {
	states := []state{
		{"nobody listens", func() (func(), error) { return func() {}, nil }},
		{"one subscriber", t.listen},
		{"two, one of which never reads", t.listenBesideStuck},
	}
	fmt.Fprintf(t.out, "earshot: a web server at %s, and each request is an event\n", t.url)
	fmt.Fprintf(t.progress, "measuring for %v: requests ", budget)
	requests, err := alternate(ctx, budget*3/4, states, t.progress, t.hundredRequests)
	if err != nil {
		return err
	}
	fmt.Fprint(t.progress, " sends ")
	sends, err := alternate(ctx, budget/4, states, t.progress, t.manySends)
	if err != nil {
		return err
	}
	fmt.Fprintln(t.progress)
	t.table(states, requests, sends)
	return t.live(ctx)
}

// listen adds a subscriber that does nothing but keep up.
func (t *tour) listen() (leave func(), err error) {
	a := t.app
	ref, err := a.requests.Handle(context.Background(), func(context.Context, earshot.Message[Request]) error { return nil }, nil)
	return func() { a.events.Unsubscribe(ref) }, err
}

func (t *tour) listenBesideStuck() (leave func(), err error) {
	unlisten, err := t.listen()
	if err == nil {
		err = t.app.stuckOn()
	}
	return func() { t.app.stuckOff(); unlisten() }, err
}

// alternate measures all states in turn, round after round, until the time is up: what changes in the
// machine meanwhile changes for all of them. round returns nanoseconds per operation; the results of
// the first rounds, which warm up, are not used.
func alternate(ctx context.Context, budget time.Duration, states []state, progress io.Writer, round func(context.Context) (float64, error)) ([][]float64, error) {
	const dots = 20
	results := make([][]float64, len(states))
	start := time.Now()
	shown := 0
	for n := 0; n < 3 || time.Since(start) < budget; n++ {
		for i := range states {
			i = (i + n) % len(states) // nobody always comes after the same one
			leave, err := states[i].enter()
			if err != nil {
				return nil, err
			}
			ns, err := round(ctx)
			leave()
			if err != nil {
				return nil, err
			}
			if n > 0 {
				results[i] = append(results[i], ns)
			}
		}
		for ; shown < dots && time.Since(start) >= budget*time.Duration(shown+1)/dots; shown++ {
			fmt.Fprint(progress, ".")
		}
	}
	return results, nil
}

// hundredRequests sends requests over loopback, one after the other.
func (t *tour) hundredRequests(ctx context.Context) (float64, error) {
	const n = 100
	start := time.Now()
	for range n {
		if err := t.request(ctx, "GET", "/hello/world"); err != nil {
			return 0, err
		}
	}
	return float64(time.Since(start).Nanoseconds()) / n, nil
}

func (t *tour) request(ctx context.Context, method, path string) error {
	req, err := http.NewRequestWithContext(ctx, method, t.url+path, nil)
	if err != nil {
		return err
	}
	resp, err := t.client.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return err
}

// manySends measures the call in the middleware by itself, for some milliseconds.
func (t *tour) manySends(ctx context.Context) (float64, error) {
	e := Request{Method: "GET", Path: "/hello/world", Status: http.StatusOK, Bytes: 15, Took: time.Microsecond}
	const n = 1000
	start := time.Now()
	for total := 0; ; {
		for range n {
			t.app.requests.Send(e)
		}
		total += n
		if took := time.Since(start); took > 4*time.Millisecond {
			return float64(took.Nanoseconds()) / float64(total), ctx.Err()
		}
	}
}

func (t *tour) table(states []state, requests, sends [][]float64) {
	fmt.Fprintf(t.out, "\nWhat the events cost, in ns (medians of %d and %d rounds, in turn)\n\n", len(requests[0]), len(sends[0]))
	fmt.Fprintf(t.out, "  %-31s %19s %19s\n", "", "one request", "one Send")
	for i, s := range states {
		r, d := median(requests[i]), median(sends[i])
		fmt.Fprintf(t.out, "  %-31s %11s  %5.2f× %11.1f  %5.1f×\n", s.name, thousands(r), r/median(requests[0]), d, d/median(sends[0]))
	}
	low, high := middle(requests[0])
	last := len(states) - 1
	fmt.Fprintf(t.out, "\n  Half of the rounds with nobody took %s to %s ns a request: smaller\n  differences are noise.", thousands(low), thousands(high))
	fmt.Fprintf(t.out, " A Send is %.4f %% of a request while nobody listens,\n  and %.2f %% when two do.\n",
		100*median(sends[0])/median(requests[0]), 100*median(sends[last])/median(requests[last]))
}

// live prints events as they come until the server has noticed the subscriber that never reads.
func (t *tour) live(ctx context.Context) error {
	a := t.app
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Second, errors.New("the stuck subscriber was not noticed"))
	defer cancel()
	if err := a.tapOn(); err != nil {
		return err
	}
	defer a.tapOff()
	if _, err := a.console.Subscribe(earshot.SlowChannel); err != nil {
		return err
	}
	if err := a.stuckOn(); err != nil {
		return err
	}
	fmt.Fprint(t.out, "\nLive, from a tap on \"http.*\", beside the subscriber that never reads\n\n")

	var wg sync.WaitGroup
	wg.Go(func() { t.visit(ctx) })
	for channel, msg := range a.console.Named(ctx) {
		a.printOne(channel, msg)
		if _, ok := msg.Event.(earshot.Slow); ok {
			break
		}
	}
	err := context.Cause(ctx)
	cancel()
	wg.Wait()
	st, _ := a.stuckOff()
	fmt.Fprintf(t.out, "\n  Nobody waited for it: of %d events it missed %d, and %d are still waiting.\n", st.Offered, st.Missed, st.Depth)
	return err
}

// visit sends a request now and then.
func (t *tour) visit(ctx context.Context) {
	requests := []struct{ method, path string }{
		{"GET", "/hello/ann"}, {"POST", "/hello/bob"}, {"GET", "/big"}, {"GET", "/nowhere"}, {"DELETE", "/big"}, {"GET", "/teapot"}, {"GET", "/"},
	}
	tick := time.NewTicker(80 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		r := requests[i%len(requests)]
		if t.request(ctx, r.method, r.path) != nil {
			return // the tour is over
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func median(xs []float64) float64 {
	s := slices.Sorted(slices.Values(xs))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// middle returns the bounds of the middle half.
func middle(xs []float64) (low, high float64) {
	s := slices.Sorted(slices.Values(xs))
	return s[len(s)/4], s[len(s)-1-len(s)/4]
}

// thousands writes a number as 12,345.
func thousands(x float64) string {
	s := fmt.Sprintf("%.0f", x)
	var b strings.Builder
	for i, digit := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(digit)
	}
	return b.String()
}
