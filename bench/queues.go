package main

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// A queueEngine keeps the jobs of queues, for package queue and for others.
type queueEngine struct {
	name  string
	start func() (*queueServer, error) // a missingError if there is none
	ours  []library
	peers []library
	note  string

	durable bool // the disk has a part in it
	full    bool // measured in full: it is the real engine
}

// A library is one for durable work. Peers have the settings that serve them best, with the same durability as ours.
type library struct {
	name string
	open func(s *queueServer, name string) (crew, error)
	note string
	only []string // what is measured of it, if not everything
}

// A crew is a library at work on one engine, with a queue of its own.
type crew interface {
	// add stores n jobs in one call, and returns when they are as safe as the engine is set to have them. It may be
	// called from many goroutines.
	add(n int) error
	// work has jobs worked on, up to queueWorkers at a time, until stop. It calls done for each.
	work(done func()) (stop func() error, err error)
	// clear removes all jobs, while nobody works.
	clear() error
	close() error
}

const (
	queueProducers = 64
	queueWorkers   = 64
	queueBatch     = 100
	queueWaiting   = 512 // jobs that are added and not yet done, at most, while jobs are worked on
)

var (
	publishing = library{name: "queue.Queue", open: openQueueCrew, note: "Publish, Subscribe"}
	storing    = library{name: "queue.Store", open: openStoreCrew, note: "Enqueue, Lease and Settle of one item, by 64 goroutines"}
	ourQueues  = []library{publishing, storing}
)

var queueEngines = []queueEngine{
	{name: "memory", start: startMemory, ours: ourQueues, peers: []library{goChannel}, full: true},
	{name: "SQLite", start: startSQLite, ours: ourQueues, peers: []library{riverSQLite, backliteSQLite}, full: true, durable: true,
		note: "WAL, synchronous=FULL"},
	{name: "PostgreSQL", start: startPostgres, ours: ourQueues, peers: []library{riverPostgres}, full: true, durable: true,
		note: "fsync on, synchronous_commit on"},
	{name: "Redis", start: startRedis, ours: ourQueues, peers: []library{asynqRedis}, full: true, durable: true,
		note: "appendonly yes, appendfsync always"},
	{name: "MongoDB", start: startMongoDB, note: "FerretDB, one message at a time, in its place: no measure of MongoDB"},
}

func (e *queueEngine) path(parts ...string) string {
	return "queues/" + e.name + "/" + strings.Join(parts, "/")
}

func (e *queueEngine) libraries() []library {
	return append(e.ours[:len(e.ours):len(e.ours)], e.peers...)
}

// queuesMissing is what to do for the engines without a server, by name.
var queuesMissing = map[string]string{}

// queues measures package queue on every store, beside the libraries that others use on the same engine.
func queues(r *runner) {
	for i := range queueEngines {
		queueEngines[i].measure(r)
	}
}

// measure starts the engine when the first part of the measuring wants it.
func (e *queueEngine) measure(r *runner) {
	var running *queueServer
	start := sync.OnceValues(func() (*queueServer, error) {
		s, err := e.start()
		running = s
		return s, err
	})
	for _, part := range []func(*runner, func() (*queueServer, error)) error{e.rates, e.delays, e.idle, e.crowd, e.recovery} {
		err := part(r, start)
		var missing missingError
		if errors.As(err, &missing) {
			queuesMissing[e.name] = missing.set
			return
		}
		if err != nil {
			must(fmt.Errorf("queues: %s: %w", e.name, err))
		}
	}
	if running != nil {
		must(running.close())
	}
}

// wantsAny reports whether one of the paths is wanted.
func (r *runner) wantsAny(paths []string) bool {
	for _, p := range paths {
		if r.wants(p) {
			return true
		}
	}
	return false
}

// together has n goroutines call f until the time is over, and returns how many calls there were and how long it took
// until the last one had returned.
func together(n int, budget time.Duration, f func() error) (calls int, took time.Duration, err error) {
	var (
		mu  sync.Mutex
		all sync.WaitGroup
	)
	begin := time.Now()
	for range n {
		all.Go(func() {
			mine, failed := 0, error(nil)
			for failed == nil && time.Since(begin) < budget {
				if failed = f(); failed == nil {
					mine++
				}
			}
			mu.Lock()
			defer mu.Unlock()
			calls, err = calls+mine, errors.Join(err, failed)
		})
	}
	all.Wait()
	return calls, time.Since(begin), err
}
