package main

import (
	"fmt"
	"strconv"
	"time"
)

// An account says what became of every event that the server has seen for us. Its equation holds
// whatever the moment at which it is asked:
//
//	seen = shown + filtered + shed
//
// shown is what we have printed. The other two are the server's, as of its last count, which is at most
// a second old when a tap is interrupted; what records since then say to have been shed is added.
type account struct {
	shown  uint64
	missed uint64 // sum of what the records said
	last   tapStats
	known  bool // the server has counted at least once
	gaps   uint64
}

func (a *account) record(missed uint64) {
	a.shown++
	a.missed += missed
}

func (a *account) stats(s tapStats) { a.last, a.known = s, true }

func (a *account) gap() { a.gaps++ }

// shed is the larger of both counts: each may be ahead of the other, and neither counts too much.
func (a *account) shed() uint64 { return max(a.missed, a.last.Shed) }

func (a *account) String() string {
	g := func(n uint64) string { return grouped(strconv.FormatUint(n, 10)) }
	return fmt.Sprintf("seen %s = shown %s + filtered %s + shed %s",
		g(a.shown+a.last.Filtered+a.shed()), g(a.shown), g(a.last.Filtered), g(a.shed()))
}

func plural(n uint64, what string) string {
	if n != 1 {
		what += "s"
	}
	return grouped(strconv.FormatUint(n, 10)) + " " + what
}

// A nagger decides when to tell of a count that grows: at once, and then less and less often, so that a
// tap left on for a night does not fill its log.
type nagger struct {
	told uint64
	next time.Time
	wait time.Duration
}

const longestWait = time.Minute

func (n *nagger) now(count uint64, at time.Time) bool {
	if count <= n.told || at.Before(n.next) {
		return false
	}
	n.told = count
	n.wait = min(max(2*n.wait, time.Second), longestWait)
	n.next = at.Add(n.wait)
	return true
}
