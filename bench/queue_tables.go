package main

import (
	"fmt"
	"math"
	"slices"
)

func queueTables(r *runner) []table {
	return []table{queueRateTable(r), queueDelayTable(r), queueIdleTable(r), queueCrowdTable(r), queueRecoveryTable(r)}
}

func (e *queueEngine) missing() string { return queuesMissing[e.name] }

func queueRateTable(r *runner) table {
	t := newTable("Queues: jobs in a second, 200 bytes each", "engine, library",
		"1 producer", "64 producers", "100 in a call", "cycles, 64 workers", "64 producers / 1", "64 producers / fsyncs", "cycles / fsyncs")
	for i := range queueEngines {
		e := &queueEngines[i]
		disk := r.min(e.path(queueDisk))
		if e.missing() != "" {
			t.add(e.name, "no server", dash, dash, dash, dash, dash, dash, e.missing())
			continue
		}
		if !absent(disk) {
			t.add("fsync of 4 KiB on the disk", countText(1e9/disk), dash, dash, dash, dash, dash, dash, "in the rounds of "+e.name)
		}
		for _, l := range e.libraries() {
			at := func(what string) float64 { return r.min(e.path(l.name, what)) }
			note := l.note
			if e.note != "" && l.name == publishing.name {
				note += "; " + e.note
			}
			t.add(e.name+", "+l.name, countText(1e9/at(oneProducer)), countText(1e9/at(manyProducers)), countText(1e9/at(oneBatch)),
				countText(1e9/at(fullCycles)), ratioText(at(oneProducer), at(manyProducers)), ratioText(disk, at(manyProducers)), ratioText(disk, at(fullCycles)), note)
			if slices.ContainsFunc(e.ours, func(o library) bool { return o.name == l.name }) {
				e.judgeRates(r, l)
			}
		}
	}
	return t
}

// judgeRates compares one of our libraries with the disk and with its peers.
func (e *queueEngine) judgeRates(r *runner, l library) {
	disk := r.min(e.path(queueDisk))
	if e.name == "SQLite" {
		for _, g := range []struct {
			what  string
			times float64
		}{{manyProducers, 50}, {fullCycles, 20}} {
			r.judge(fmt.Sprintf("%s over SQLite, %s: time x %.0f / fsync", l.name, g.what, g.times),
				g.times*r.min(e.path(l.name, g.what))/disk, 1, "")
		}
	}
	for _, peer := range e.peers {
		if e.name == "memory" {
			continue // a channel is no rival
		}
		for _, what := range queueRates {
			got, theirs := r.min(e.path(l.name, what)), r.min(e.path(peer.name, what))
			name := l.name + " over " + e.name + ", " + what
			if l.name == publishing.name && what != oneProducer {
				r.judge(name+" / "+peer.name+", time", got/theirs, 1, "")
			}
			r.compare(name, got, peer.name, theirs)
		}
	}
}

func queueDelayTable(r *runner) table {
	t := newTable("Queues: ms until the handler begins", "engine, since", "p50", "p99", "most", "samples")
	millis := func(path string, p float64) float64 { return r.percentile(path, p) / 1e6 }
	for i := range queueEngines {
		e := &queueEngines[i]
		for _, what := range []string{lateAtOnce, lateDue, lateOther} {
			path := e.path(publishing.name, what)
			t.add(e.name+", "+what, nanosText(millis(path, 0.5)), nanosText(millis(path, 0.99)), nanosText(millis(path, 1)),
				countText(len(r.samples[path])), e.note)
			if e.full || what != lateOther { // MongoDB's store cannot hear of others, and looks once a second
				r.judge("ms until the handler begins, "+e.name+", "+what+", p99", millis(path, 0.99), 10, "")
			}
		}
	}
	return t
}

func queueIdleTable(r *runner) table {
	t := newTable("Queues: an idle worker, in a second", "engine", "requests to the server", "ms of the processor")
	for i := range queueEngines {
		e := &queueEngines[i]
		requests, cpu := r.median(e.path(idleRequests)), r.median(e.path(idleCPU))
		t.add(e.name, nanosText(requests), nanosText(cpu/1e6), e.note)
		r.judge("requests of an idle worker in a second, "+e.name, requests, 1, "")
		r.judge("ms of the processor that an idle worker takes in a second, "+e.name, cpu/1e6, 10, "it looks at data_version, which is memory that processes share")
	}
	return t
}

func queueCrowdTable(r *runner) table {
	many := r.size(crowdMany, crowdManyQuick)
	t := newTable(fmt.Sprintf("Queues: µs for an item while %s wait, in calls of 100", countText(many)),
		"engine, queue", crowdEnqueue, "/ 1000 wait", crowdLease, "/ 1000 wait", crowdSettle, "/ 1000 wait", "filling it")
	for i := range queueEngines {
		e := &queueEngines[i]
		worst := map[string]float64{}
		for _, name := range []string{crowdDue, crowdDelayed} {
			row := []string{e.name + ", " + name}
			for _, what := range crowdWhat {
				few, lots := r.median(e.crowdPath(crowdFew, name)+"/"+what), r.median(e.crowdPath(many, name)+"/"+what)
				row = append(row, nanosText(lots/1000), ratioText(lots, few))
				worst[what] = math.Max(worst[what], lots/few) // NaN if nothing was measured
			}
			t.add(append(row, nanosText(r.median(e.crowdPath(many, crowdFill))/1000))...)
		}
		for _, what := range crowdWhat {
			r.judge(fmt.Sprintf("%s over %s with %s pending / with 1,000, time", what, e.name, countText(many)), worst[what], 1.5, "")
		}
	}
	return t
}

func queueRecoveryTable(r *runner) table {
	t := newTable("Queues: ms from the start of a process to its first job, after kill -9", "engine", "median", "most", "samples")
	items := countText(r.size(recoveryItems, recoveryItems/10))
	t.add("SQLite, "+items+" pending", nanosText(r.median(recoveryPath)/1e6), nanosText(r.percentile(recoveryPath, 1)/1e6),
		countText(len(r.samples[recoveryPath])))
	r.judge("seconds to the first job after kill -9 with "+items+" pending, SQLite", r.percentile(recoveryPath, 1)/1e9, 1, "")
	return t
}
