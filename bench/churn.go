package main

import (
	"fmt"
	"time"

	"github.com/earshot-go/earshot"
)

func churnPath(what string, live int) string {
	return fmt.Sprintf("churn/%s, %d live names", what, live)
}

const (
	churnName    = "subscribe + unsubscribe, a new name"
	churnMailbox = "mailbox made, subscribed and closed"
)

// churner subscribes to a name nobody else listens to and leaves again, so that
// a channel is born and reaped every time. Names come from a ring: making one up
// would cost as much.
func churner(s *earshot.Server) (loops map[string]func(n int)) {
	names := channelNames(1024)
	for i := range names {
		names[i] = "passing." + names[i]
	}
	mb := earshot.NewMailbox[event](ctx, s, nil)
	return map[string]func(int){
		churnName: func(n int) {
			for i := range n {
				ref, err := mb.Subscribe(names[i%len(names)])
				must(err)
				must(mb.Unsubscribe(ref))
			}
		},
		churnMailbox: func(n int) {
			for i := range n {
				mb := earshot.NewMailbox[event](ctx, s, nil)
				_, err := mb.Subscribe(names[i%len(names)])
				must(err)
				must(mb.Close())
			}
		},
	}
}

func churnSizes(r *runner) (few, many int) { return 100, r.size(100_000, 20_000) }

func churn(r *runner) {
	few, many := churnSizes(r)
	var paths []string
	var loops []func(int)
	for _, live := range []int{few, many} {
		if !r.wants(churnPath(churnName, live)) && !r.wants(churnPath(churnMailbox, live)) {
			continue
		}
		r.say(true, "churn: %d live names", live)
		c := newCrowd(channelNames(live))
		defer closer(c.server, c.boxes)()
		l := churner(c.server)
		for _, what := range []string{churnName, churnMailbox} {
			paths = append(paths, churnPath(what, live))
			loops = append(loops, l[what])
		}
	}
	r.each("churn", paths, func(i int) {
		r.add(paths[i], timeOp(loops[i], r.budget(60*time.Millisecond)))
	})
}

func churnTables(r *runner) []table {
	few, many := churnSizes(r)
	t := newTable("Churn: ns for a channel to come and go", "what",
		countText(few)+" live names", countText(many)+" live names", "ratio")
	for _, what := range []string{churnName, churnMailbox} {
		a, b := r.min(churnPath(what, few)), r.min(churnPath(what, many))
		t.add(what, nanosText(a), nanosText(b), ratioText(b, a))
		r.judge(fmt.Sprintf("%s: %d live names / %d", what, many, few), b/a, 3, "")
	}
	return []table{t}
}
