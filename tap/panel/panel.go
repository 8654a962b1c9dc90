// Package panel is the model of what a page of the tap shows.
//
// A program brings a page of its own by implementing [Panel]: it answers a
// [View], a title, a sentence and some tables. The tap makes an HTML page, a
// JSON twin, metrics and a listing on the command line of that one value, so
// the four can never tell different numbers.
//
// The package is small and imports nothing that serves or draws, so a library
// can bring a panel without bringing a web server along.
package panel

import (
	"context"
	"net/url"
)

// A Panel is a page that is looked at now and then. It is asked for a new
// [View] each time somebody looks, from any goroutine, and never otherwise: a
// panel costs nothing while nobody watches.
type Panel interface {
	// Name is the last segment of the panel's URL and its name in the menu,
	// the JSON and on the command line: "queues". It is made of a-z, 0-9 and
	// the hyphen, begins with a letter and never changes.
	Name() string

	// View answers what the page shows at this moment. It should return
	// within ctx, because a person is waiting for it, and should not hold a
	// lock that the program needs while it collects.
	View(ctx context.Context) View
}

// A View is what a page shows at one moment. Whoever receives it may sort and
// cut the tables; the maker must not keep changing them.
type View struct {
	Title   string // of the page: "Queues"
	Status  Status // in one word
	Summary string // in one sentence, which says the state before it says numbers
	Tables  []Table
}

// A Table is a part of a page: a heading and rows.
type Table struct {
	Name  string // the key in JSON, the id in HTML: "queues"
	Title string // heading; none if empty
	Doc   string // a sentence under the heading: what the rows are
	Empty string // is shown instead of no rows; says what to do next

	Columns []Column

	// Rows hold one value for each column, in the order of the columns. A
	// nil, or a value that is missing at the end of a row, is unknown: it is
	// shown as a dash, is null in JSON and has no sample in metrics. That is
	// not the same as 0.
	Rows [][]any

	// Total is how many rows there are in all, if Rows is only some of them.
	// It is ignored when it is smaller than len(Rows).
	Total int

	// Facts says that the table has one row, always: it is drawn as a list of
	// names and values rather than as a row. The totals of a page, the
	// properties of one thing.
	Facts bool
}

// A Column says what the values of a column are and how they are named.
type Column struct {
	Key   string // in JSON and in ?sort=: "high_water"
	Label string // heading: "High water"; Key if empty
	Doc   string // what the number means, in a sentence: tooltip, help, HELP of the metric
	Kind  Kind   // what the values are

	// Metric is the name of the column in Prometheus, without labels:
	// "earshot_queue_depth". The column is no metric if it is empty.
	Metric  string
	Counter bool // the metric only ever grows: a counter; otherwise a gauge

	// Dim makes the values of the column a label of the metrics of this
	// table. The label is called Key. A label should have few values.
	Dim bool
}

// A Link is a cell that leads to another page. In JSON it is its Text.
type Link struct {
	Text  string
	Page  string     // a name of a page: "channel", "queues"
	Query url.Values // of the page: name=orders.paid
}

// String is the text of the link.
func (l Link) String() string { return l.Text }
