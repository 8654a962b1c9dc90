package main

import (
	"fmt"
	"slices"
	"strings"
)

// A goal is a number that should not be above its limit. Limits are ratios to
// something measured in the same run wherever that is possible.
type goal struct {
	what       string
	got, limit float64
	note       string
}

// judge records a goal, if what it needs was measured.
func (r *runner) judge(what string, got, limit float64, note string) {
	if !absent(got) {
		r.goals = append(r.goals, goal{what, got, limit, note})
	}
}

func (r *runner) goalTable() table {
	t := newTable("Goals", "goal", "at most", "measured", "verdict")
	for _, g := range r.goals {
		verdict := "met"
		if g.got > g.limit {
			verdict = "SHORT"
		}
		t.add(g.what, fmt.Sprintf("%.4g", g.limit), goalText(g.got), verdict, g.note)
	}
	return t
}

func goalText(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// A loss is a comparison that earshot does not win: who is ahead, by how much.
type loss struct {
	what  string
	ours  float64
	worst float64
	ahead []string
}

// compare notes it if ours is worse than theirs. Two percent are a tie.
func (r *runner) compare(what string, ours float64, to string, theirs float64) {
	if absent(ours) || absent(theirs) || theirs == 0 || ours <= 1.02*theirs {
		return
	}
	i := slices.IndexFunc(r.behind, func(l loss) bool { return l.what == what })
	if i < 0 {
		i = len(r.behind)
		r.behind = append(r.behind, loss{what: what, ours: ours})
	}
	l := &r.behind[i]
	l.worst = max(l.worst, ours/theirs)
	l.ahead = append(l.ahead, to+" "+ratioText(ours, theirs)+"x")
}

func (r *runner) lossTable() table {
	t := newTable("Where earshot is behind", "what", "ns", "ratio")
	for _, l := range r.behind {
		t.add(l.what, nanosText(l.ours), nanosText(l.worst), strings.Join(l.ahead, ", "))
	}
	return t
}
