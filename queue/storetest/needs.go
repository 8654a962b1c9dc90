package storetest

import "github.com/earshot-go/earshot/queue"

// claims are what a store says that it can do, by its Caps, its methods, and what its harness has.
type claims struct {
	queue.Caps
	e Engine

	finder, redriver, statter, waker, clock, revs, maintainer bool
}

func claimsOf(s queue.Store, e Engine) claims {
	c := claims{Caps: s.Caps(), e: e}
	_, c.finder = s.(queue.Finder)
	_, c.redriver = s.(queue.Redriver)
	_, c.statter = s.(queue.Statter)
	_, c.waker = s.(queue.Waker)
	_, c.clock = s.(queue.Clock)
	_, c.revs = s.(queue.RevEnqueuer)
	_, c.maintainer = s.(queue.Maintainer)
	return c
}

// needs are what a store has to claim, or its harness to be able to do, for a test to be about it. Where a claim is
// missing another test holds the store to that: WithoutUnique, for one.
type needs []func(c claims) (why string)

// missing returns what the store lacks, or "".
func (n needs) missing(c claims) string {
	for _, need := range n {
		if why := need(c); why != "" {
			return why
		}
	}
	return ""
}

func unless(there bool, why string) string {
	if there {
		return ""
	}
	return why
}

func durable(c claims) string { return unless(c.Durable, "it does not claim Durable") }
func again(c claims) string {
	return unless(c.Durable || c.MultiProcess, "it claims neither Durable nor MultiProcess, and is opened once")
}
func multi(c claims) string       { return unless(c.MultiProcess, "it does not claim MultiProcess") }
func atomicBatch(c claims) string { return unless(c.AtomicBatch, "it does not claim AtomicBatch") }
func fenced(c claims) string      { return unless(c.Fenced, "it does not claim Fenced") }
func extend(c claims) string      { return unless(c.Extend, "it does not claim Extend") }
func unique(c claims) string      { return unless(c.Unique, "it does not claim Unique") }
func serial(c claims) string      { return unless(c.Serial, "it does not claim Serial") }
func noExtend(c claims) string    { return unless(!c.Extend, "it claims Extend") }
func noUnique(c claims) string    { return unless(!c.Unique, "it claims Unique") }
func noSerial(c claims) string    { return unless(!c.Serial, "it claims Serial") }
func limit(c claims) string {
	return unless(c.MaxBytes > 0 && c.MaxBytes <= 64<<20, "it claims no MaxBytes, or more than 64 MiB")
}

func finder(c claims) string     { return unless(c.finder, "it is no queue.Finder") }
func redriver(c claims) string   { return unless(c.redriver, "it is no queue.Redriver") }
func statter(c claims) string    { return unless(c.statter, "it is no queue.Statter") }
func waker(c claims) string      { return unless(c.waker, "it is no queue.Waker") }
func clock(c claims) string      { return unless(c.clock, "it is no queue.Clock") }
func revs(c claims) string       { return unless(c.revs, "it is no queue.RevEnqueuer") }
func maintainer(c claims) string { return unless(c.maintainer, "it is no queue.Maintainer") }

func wire(c claims) string     { return unless(c.e.Server != "", "there is no Engine.Server") }
func children(c claims) string { return unless(c.e.URL != "", "there is no Engine.URL") }
func restart(c claims) string  { return unless(c.e.Restart != nil, "there is no Engine.Restart") }
func breaking(c claims) string { return unless(c.e.Break != nil, "there is no Engine.Break") }
func deny(c claims) string     { return unless(c.e.Deny != nil, "there is no Engine.Deny") }
func begin(c claims) string    { return unless(c.e.Begin != nil, "there is no Engine.Begin") }
func skew(c claims) string     { return unless(c.e.Skew != nil, "there is no Engine.Skew") }
