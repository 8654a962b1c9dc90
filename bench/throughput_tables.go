package main

import (
	"fmt"
	"math"
)

// throughputGoals are ratios to the best peer, by cell.
var throughputGoals = map[cell]float64{
	{1, 1}: 0.9, {1, 8}: 0.45, {1, 64}: 0.2, {2, 1}: 0.9, {2, 8}: 0.35, {2, 64}: 0.2,
}

// A standing is how everybody did, by one statistic of the rounds.
type standing struct {
	at   func(cell, contender) float64
	best map[cell]contender // the fastest peer, where one was measured
}

func newStanding(stat func(path string) float64) standing {
	s := standing{best: map[cell]contender{}}
	s.at = func(cl cell, c contender) float64 { return stat(fmt.Sprintf("throughput/%s/%s", cl, c.name)) }
	for _, cl := range cells {
		for _, c := range peers {
			v := s.at(cl, c)
			if b, ok := s.best[cl]; !c.aside && !absent(v) && (!ok || v < s.at(cl, b)) {
				s.best[cl] = c
			}
		}
	}
	return s
}

// bar is the best peer's number, NaN without one.
func (s standing) bar(cl cell) float64 {
	if c, ok := s.best[cl]; ok {
		return s.at(cl, c)
	}
	return nan
}

// ratios is a table of earshot's ways against the best peer.
func (s standing) ratios(title string) table {
	t := newTable(title, "earshot", cells...)
	for _, c := range earshots {
		row := []string{c.name}
		for _, cl := range cells {
			row = append(row, ratioText(s.at(cl, c), s.bar(cl)))
		}
		t.add(row...)
	}
	if t.measured() {
		row := []string{"best peer"}
		for _, cl := range cells {
			row = append(row, s.best[cl].name)
		}
		t.add(row...)
	}
	return t
}

func throughputTables(r *runner) []table {
	fastest := newStanding(r.min)
	ns := newTable("Throughput: ns per event, every subscriber receives every event (senders x subscribers)",
		"contender", cells...)
	for _, c := range contenders {
		row := []string{c.name}
		for _, cl := range cells {
			row = append(row, nanosText(fastest.at(cl, c)))
		}
		ns.add(append(row, c.note)...)
	}
	throughputVerdicts(r, fastest)
	return []table{
		ns,
		fastest.ratios("Throughput: ratio to the best peer of the cell, fastest rounds (judged)"),
		// Beside it, since a bus whose rounds differ a lot looks better by its fastest.
		newStanding(r.median).ratios("Throughput: ratio to the best peer of the cell, median rounds"),
	}
}

// throughputVerdicts judges the best typed way of receiving, as it does the best
// peer, and names the slowest one beside it.
func throughputVerdicts(r *runner, s standing) {
	for _, cl := range cells {
		low, high, who := math.Inf(1), math.Inf(-1), ""
		for _, c := range earshots {
			v := s.at(cl, c)
			if !c.any && v < low {
				low, who = v, c.name
			}
			if !c.any && v > high {
				high = v
			}
			for _, p := range peers {
				r.compare(fmt.Sprintf("throughput %s, %s", cl, c.name), v, p.name, s.at(cl, p))
			}
		}
		r.judge(fmt.Sprintf("throughput %s, typed / best peer", cl), low/s.bar(cl), throughputGoals[cl],
			fmt.Sprintf("%s; the slowest way %.2f", who, high/s.bar(cl)))
	}
	for _, cl := range cells {
		for _, c := range earshots {
			if c.any && cl.subs >= 8 {
				r.judge(fmt.Sprintf("throughput %s, untyped / best peer", cl), s.at(cl, c)/s.bar(cl), 1, c.name)
			}
		}
	}
}
