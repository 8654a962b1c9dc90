package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"runtime"
	"slices"
	"time"
)

// A runner carries what all sections share: how much to measure, what has been
// measured so far, and what came of it.
type runner struct {
	rounds int
	quick  bool
	only   *regexp.Regexp

	samples  map[string][]float64 // by path, one per round
	goals    []goal
	behind   []loss
	progress io.Writer // nil: silent
	tty      bool      // progress rewrites its line
}

func newRunner(rounds int, quick bool, only *regexp.Regexp) *runner {
	r := &runner{rounds: rounds, quick: quick, only: only, samples: map[string][]float64{}}
	if info, err := os.Stderr.Stat(); err == nil {
		r.progress, r.tty = os.Stderr, info.Mode()&os.ModeCharDevice != 0
	}
	return r
}

// size is full in an ordinary run and small in a quick one.
func (r *runner) size(full, small int) int {
	if r.quick {
		return small
	}
	return full
}

// budget is how long one measurement of one contender should take.
func (r *runner) budget(full time.Duration) time.Duration {
	if r.quick {
		return full / 2
	}
	return full
}

func (r *runner) wants(path string) bool { return r.only == nil || r.only.MatchString(path) }

func (r *runner) add(path string, v float64) { r.samples[path] = append(r.samples[path], v) }

// min is for what noise can only make slower: throughput and idle costs. It is
// NaN, which tables print as a dash, where nothing was measured.
func (r *runner) min(path string) float64 {
	if s := r.samples[path]; len(s) > 0 {
		return slices.Min(s)
	}
	return math.NaN()
}

// median is for what noise moves either way.
func (r *runner) median(path string) float64 {
	s := slices.Sorted(slices.Values(r.samples[path]))
	if len(s) == 0 {
		return math.NaN()
	}
	return (s[len(s)/2] + s[(len(s)-1)/2]) / 2
}

// say shows where the run is. On a terminal it is one line that changes; in a
// log, where a line stays, only whole steps are worth one.
func (r *runner) say(step bool, format string, args ...any) {
	switch {
	case r.progress == nil:
	case r.tty:
		fmt.Fprintf(r.progress, "\r\x1b[K%s", fmt.Sprintf(format, args...))
	case step:
		fmt.Fprintf(r.progress, "%s\n", fmt.Sprintf(format, args...))
	}
}

// each runs f once per round for every path wanted. The order turns with the
// round, so that no contender always follows the same noisy neighbour, and each
// one starts on a collected heap and does not pay for another one's garbage.
func (r *runner) each(section string, paths []string, f func(i int)) {
	for round := range r.rounds {
		r.say(round == 0, "%s", section)
		for k := range paths {
			i := (k + round) % len(paths)
			if !r.wants(paths[i]) {
				continue
			}
			r.say(false, "round %d/%d  %s", round+1, r.rounds, paths[i])
			runtime.GC()
			f(i)
		}
	}
}

// settle lets goroutines that have been told to end do so.
func settle() { time.Sleep(2 * time.Millisecond) }

// must ends the run. A benchmark that lost an event, or could not start, has no
// numbers worth printing.
func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "\nbench:", err)
		os.Exit(1)
	}
}
