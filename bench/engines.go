package main

import (
	"errors"
	"fmt"
	"time"

	earbus "github.com/earshot-go/earshot/bus"
)

// An engine is something that an emitter can run over, beside the library that others use it with.
type engine struct {
	name   string
	open   func() (station, error) // a missingError if there is no server
	events int                     // in one measurement of the rate: some 200 ms
	client string                  // what the other side does
}

// A station is an engine that runs. Streams are made by who uses them first.
type station interface {
	bus(stream string) (earbus.Bus, error)
	client(stream string) (client, error)
	close() error // removes what is left of all streams, and ends the server if it is ours
}

// A client is an engine's own library with nothing on top, on one stream. It is given CloudEvents that are JSON
// already.
type client interface {
	// publish returns when the engine has accepted all of them. It takes the fastest way from one goroutine that
	// the library has, with the durability that the emitter's engine has.
	publish(texts [][]byte) error
	// listen calls heard with what is sent from now on, and when that was. It returns when the engine listens.
	listen(heard func(at int64, text []byte)) error
	// send publishes one, and returns when the engine has accepted it.
	send(text []byte) error
	close() error
}

var engines = []engine{
	{"SQLite", openSQLite, 10_000, "1000 rows in a transaction"},
	{"NATS JetStream", openNATS, 20_000, "PublishAsync without IDs: copies are not recognised"},
	{"NATS JetStream, IDs", openNATSWithIDs, 20_000, "PublishAsync with IDs, as the emitter sends them"},
	{"Redis", openRedis, 20_000, "XADD, 1000 in a pipeline"},
	{"CouchDB", openCouchDB, 1024, "_bulk_docs, 512 at a time"},
	{"RethinkDB", openRethinkDB, 1024, "Insert, 512 at a time, durability hard"},
}

// A missingError says what to do to have a server.
type missingError struct{ set string }

func (e missingError) Error() string { return "no server: " + e.set }

func (e engine) path(what string) string { return "engines/" + e.name + "/" + what }

// What is measured of each engine, in the order of its turns.
const (
	rateOurs  = "publish, emitter"
	rateBare  = "publish, client"
	delayOurs = "latency, emitter"
	delayBare = "latency, client"
)

const (
	diskPath   = "engines/disk"
	inMemory   = "engines/in memory"
	perEngine  = 150                    // one-way latencies in one measurement, at most
	perMeasure = 200 * time.Millisecond // or so much time for them
	beforehand = 2                      // measurements' worth of events that are published before the first one
)

// overEngines measures an emitter over each engine against the engine's own library: the same server, events of the
// same bytes, in turn.
func overEngines(r *runner) {
	r.each("engines", []string{inMemory}, func(int) {
		d, err := newDesk(nil)
		must(err)
		samples, err := d.delays(r.size(perEngine, perEngine/2), r.budget(perMeasure))
		must(errors.Join(err, d.close()))
		for _, s := range samples {
			r.add(inMemory, s)
		}
	})
	for _, e := range engines {
		e.measure(r)
	}
}

func (e engine) measure(r *runner) {
	paths := []string{e.path(rateOurs), e.path(rateBare), e.path(delayOurs), e.path(delayBare)}
	wanted := false
	for _, p := range paths {
		wanted = wanted || r.wants(p)
	}
	if !wanted {
		return
	}
	p, err := newPair(e)
	var missing missingError
	if errors.As(err, &missing) {
		enginesMissing[e.name] = missing.set
		return
	}
	must(err)
	n := r.size(e.events, e.events/2)
	must(p.warm(beforehand * n))
	if e.name == "SQLite" {
		paths = append(paths, diskPath)
	}
	r.each("engines, "+e.name, paths, func(i int) {
		var samples []float64
		var err error
		switch i {
		case 0:
			samples, err = one(p.ours.rate(n))
		case 1:
			samples, err = one(p.bare.rate(n))
		case 2:
			samples, err = p.oursHeard.delays(r.size(perEngine, perEngine/2), r.budget(perMeasure))
		case 3:
			samples, err = p.bareHeard.delays(r.size(perEngine, perEngine/2), r.budget(perMeasure))
		case 4:
			samples, err = one(syncs(100))
		}
		must(err)
		for _, s := range samples {
			r.add(paths[i], s)
		}
	})
	must(p.close())
}

func one(v float64, err error) ([]float64, error) { return []float64{v}, err }

// enginesMissing is what to do for the engines without a server, by name.
var enginesMissing = map[string]string{}

func engineTables(r *runner) []table {
	rates := newTable("Emitter over engines: events published in a second, 200 bytes of data each",
		"engine", "emitter", "client", "time, ratio")
	delays := newTable("Emitter over engines: µs from Emit to the listener, and from the client's publish to its consumer",
		"engine", "p50", "p99", "client p50", "client p99", "p50, ratio", "samples")
	micros := func(path string, p float64) string { return nanosText(r.percentile(path, p) / 1000) }
	delays.add("none, in memory", micros(inMemory, 0.5), micros(inMemory, 0.99), dash, dash, dash, countText(len(r.samples[inMemory])))
	for _, e := range engines {
		if set := enginesMissing[e.name]; set != "" {
			rates.add(e.name, "no server", dash, dash, set)
			delays.add(e.name, "no server", dash, dash, dash, dash, dash, set)
			continue
		}
		ours, bare := r.min(e.path(rateOurs)), r.min(e.path(rateBare))
		note := "client: " + e.client
		if syncs := r.min(diskPath); e.name == "SQLite" && !absent(syncs) {
			note += fmt.Sprintf("; the disk does %s fsyncs of 4 KiB in a second", countText(1e9/syncs))
		}
		rates.add(e.name, countText(1e9/ours), countText(1e9/bare), ratioText(ours, bare), note)
		r.judge("publishing with the emitter over "+e.name+" / client, time", ours/bare, 1.25, "")

		ours, bare = r.median(e.path(delayOurs)), r.median(e.path(delayBare))
		delays.add(e.name, micros(e.path(delayOurs), 0.5), micros(e.path(delayOurs), 0.99),
			micros(e.path(delayBare), 0.5), micros(e.path(delayBare), 0.99),
			ratioText(ours, bare), countText(len(r.samples[e.path(delayOurs)])))
		r.judge("latency p50 of the emitter over "+e.name+" / client", ours/bare, 1.3, "")
	}
	return []table{rates, delays}
}
