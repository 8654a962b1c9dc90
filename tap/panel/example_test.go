package panel_test

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/earshot-go/earshot/tap/panel"
)

// Queues is a page about the work that waits.
type Queues struct {
	waiting map[string]int
}

func (q *Queues) Name() string { return "queues" }

func (q *Queues) View(context.Context) panel.View {
	v := panel.View{Title: "Queues", Summary: "Every queue keeps up."}
	jobs := panel.Table{
		Name:  "queues",
		Empty: "No queue yet. The first Push makes one.",
		Columns: []panel.Column{
			{Key: "queue", Label: "Queue", Kind: panel.Code, Dim: true},
			{
				Key: "depth", Label: "Waiting", Kind: panel.Count, Metric: "shop_queue_depth",
				Doc: "Jobs that wait to be taken.",
			},
			{Key: "oldest", Label: "Oldest", Kind: panel.Seconds, Doc: "How long the first one has waited."},
		},
	}
	for _, name := range []string{"mail", "refunds"} {
		n := q.waiting[name]
		var oldest any // unknown while nothing waits
		if n > 0 {
			oldest = time.Duration(n) * 20 * time.Millisecond
		}
		if n > 100 {
			v.Status = v.Status.Worst(panel.Warn)
			v.Summary = fmt.Sprintf("%d jobs wait in %s.", n, name)
		}
		jobs.Rows = append(jobs.Rows, []any{
			panel.Link{Text: name, Page: "queue", Query: url.Values{"name": {name}}},
			n,
			oldest,
		})
	}
	v.Tables = append(v.Tables, jobs)
	return v
}

// A panel answers a title, a sentence and tables. The tap draws them.
func Example() {
	var p panel.Panel = &Queues{waiting: map[string]int{"mail": 240}}

	v := p.View(context.Background())
	fmt.Println(v.Status, "–", v.Summary)
	for _, row := range v.Tables[0].Rows {
		fmt.Println(row...)
	}
	// Output:
	// warn – 240 jobs wait in mail.
	// mail 240 4.8s
	// refunds 0 <nil>
}
