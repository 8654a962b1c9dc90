package main

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// What is measured of each library, in the order of its turns.
const (
	oneProducer   = "1 producer"
	manyProducers = "64 producers"
	oneBatch      = "100 in a call"
	fullCycles    = "cycles"

	queueDisk = "disk"
)

var queueRates = []string{oneProducer, manyProducers, oneBatch, fullCycles}

const (
	queueWarm = 2000                   // jobs before the first measurement
	queueEach = 250 * time.Millisecond // of one measurement, without what is left to do at its end
)

// A rating is a library whose rates are measured.
type rating struct {
	library
	crew
}

func (l *library) measures(what string) bool { return l.only == nil || slices.Contains(l.only, what) }

// rates measures how long one job takes: until it is stored, and until it is done.
func (e *queueEngine) rates(r *runner, start func() (*queueServer, error)) error {
	var paths, whats []string
	var whose []int
	for i, l := range e.libraries() {
		for _, what := range queueRates {
			if l.measures(what) {
				paths, whats, whose = append(paths, e.path(l.name, what)), append(whats, what), append(whose, i)
			}
		}
	}
	if !r.wantsAny(paths) {
		return nil
	}
	if e.durable {
		paths = append(paths, e.path(queueDisk))
	}
	s, err := start()
	if err != nil {
		return err
	}
	var all []*rating
	for i, l := range e.libraries() {
		c, err := l.open(s, fmt.Sprintf("rates%d", i))
		if err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		all = append(all, &rating{l, c})
		if err := all[i].warm(); err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
	}
	r.each("queues, "+e.name, paths, func(i int) {
		if i == len(whose) {
			ns, err := syncs(100)
			must(err)
			r.add(e.path(queueDisk), ns)
			return
		}
		ns, err := all[whose[i]].measure(whats[i], r.budget(queueEach))
		if err != nil {
			must(fmt.Errorf("%s: %w", paths[i], err))
		}
		r.add(paths[i], ns)
	})
	for _, l := range all {
		err = errors.Join(err, l.close())
	}
	return err
}

// warm has the tables, files and connections in the state in which they stay.
func (l *rating) warm() error {
	if !l.measures(manyProducers) {
		return nil
	}
	for range queueWarm / queueBatch {
		if err := l.add(queueBatch); err != nil {
			return err
		}
	}
	if err := l.clear(); err != nil {
		return err
	}
	_, err := l.measure(manyProducers, 20*time.Millisecond)
	return err
}

// measure returns the nanoseconds for one job.
func (l *rating) measure(what string, budget time.Duration) (float64, error) {
	producers, each := 1, 1
	switch what {
	case fullCycles:
		if c, ok := l.crew.(interface{ cycle() error }); ok {
			n, took, err := together(queueWorkers, budget, c.cycle)
			return float64(took) / float64(n), errors.Join(err, l.clear())
		}
		return cycles(l.crew, budget)
	case manyProducers:
		producers = queueProducers
	case oneBatch:
		each = queueBatch
	}
	n, took, err := together(producers, budget, func() error { return l.add(each) })
	return float64(took) / float64(n*each), errors.Join(err, l.clear())
}

// cyclesEnd is how long a library may take for the jobs that wait when no more are added.
const cyclesEnd = 20 * time.Second

// cycles has many goroutines add jobs while others work on them, and returns the nanoseconds for one of them, from the
// first that was added to the last that was done. The library works already when that begins.
func cycles(c crew, budget time.Duration) (float64, error) {
	var done atomic.Int64
	waiting := make(chan struct{}, queueWaiting)
	stop, err := c.work(func() {
		done.Add(1)
		select {
		case <-waiting:
		default: // done twice; that is found at the end
		}
	})
	if err != nil {
		return 0, err
	}
	added := int64(0)
	run := func(budget time.Duration) (float64, error) {
		begin := time.Now()
		n, _, err := together(queueProducers, budget, func() error {
			waiting <- struct{}{}
			return c.add(1)
		})
		added += int64(n)
		for end := time.Now().Add(cyclesEnd); err == nil && done.Load() < added && time.Now().Before(end); {
			time.Sleep(100 * time.Microsecond)
		}
		return float64(time.Since(begin)) / float64(n), err
	}
	_, err = run(budget / 10)
	ns := 0.0
	if err == nil {
		ns, err = run(budget)
	}
	err = errors.Join(err, stop())
	if n := done.Load(); err == nil && n != added {
		err = fmt.Errorf("%d jobs were added and %d done", added, n)
	}
	return ns, errors.Join(err, c.clear())
}
