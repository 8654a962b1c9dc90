package main

import "fmt"

// refShort heads a column of ratios.
var refShort = map[string]string{refLoad: "load", refMap: "map miss", refMutex: "mutex"}

func opTable(r *runner, section, title string, ops []op, refs ...string) table {
	head := []string{"ns", "allocs"}
	for _, ref := range refs {
		head = append(head, "/ "+refShort[ref])
	}
	t := newTable(title, "operation", head...)
	for _, o := range ops {
		path := section + "/" + o.name
		row := []string{o.name, nanosText(r.min(path)), allocsText(r.min(path + " allocs"))}
		for _, ref := range refs {
			row = append(row, ratioText(r.min(path), r.min(section+"/"+ref)))
		}
		t.add(append(row, o.note)...)
	}
	return t
}

func idleTables(r *runner) []table {
	at := func(name string) float64 { return r.min("idle/" + name) }
	allocs := func(name string) float64 { return r.min("idle/" + name + " allocs") }
	for _, name := range []string{idleSend, idleReaped, idleListening} {
		r.judge("idle "+name+" / load + nil check", at(name)/at(refLoad), 1.1, "")
		r.judge("idle "+name+", allocations", allocs(name), 0, "")
	}
	r.judge("idle "+idleByName+" / map miss", at(idleByName)/at(refMap), 0.6, "struct event")
	r.judge("idle "+idleByName+", allocations", allocs(idleByName), 0, "struct event")
	for _, o := range earshotIdle {
		for _, p := range peerIdle {
			r.compare("idle "+o.name, at(o.name), p.name, at(p.name))
		}
	}
	return []table{opTable(r, "idle", "Idle: ns per event that nobody listens to", idleOps, refLoad, refMap)}
}

func liveTables(r *runner) []table {
	at := func(name string) float64 { return r.min("live/" + name) }
	low, high := nan, nan
	for _, subs := range liveSubs {
		name := liveName(subs)
		v := at(name)
		r.judge("live "+name+" / mutex", v/at(refMutex), 2, "")
		r.judge("live "+name+", allocations", r.min("live/"+name+" allocs"), 0, "")
		if absent(low) || v < low {
			low = v
		}
		if absent(high) || v > high {
			high = v
		}
	}
	r.judge(fmt.Sprintf("live send, flat from %d to %d subscribers: dearest / cheapest",
		liveSubs[0], liveSubs[len(liveSubs)-1]), high/low, 1.25, "flat, give or take noise")
	return []table{opTable(r, "live", "Live: ns per send while nobody is parked and mailboxes are full", liveOps(), refMutex)}
}
